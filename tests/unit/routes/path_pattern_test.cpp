#include "gateway/routes/path_pattern.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

PathPattern pattern(std::string_view text, bool trailing_slash = false) {
  return *PathPattern::compile(text, trailing_slash);
}

bool paths_overlap(std::string_view a, std::string_view b) {
  return overlap(pattern(a), pattern(b));
}

TEST(IdRule, IsByDefaultOneSegmentOfLettersDigitsAndPunctuation) {
  const IdRule rule;
  for (const std::string& text : {std::string("a"), std::string("A-Z_0.9"), std::string("..."),
                                  std::string("__keyspace"), std::string(128, 'x')}) {
    EXPECT_TRUE(rule.fits(text)) << text;
  }
  EXPECT_FALSE(rule.fits(std::string(129, 'x')));
  for (const char* text : {"", ".", "..", "a b", "a/b", "a:b", "{id}", "ä", "a\n", "a%20", "*", "a?"}) {
    EXPECT_FALSE(rule.fits(text)) << text;
  }
}

TEST(IdRule, AllowsTheCharactersThatItNames) {
  const IdRule rule = *IdRule::make(IdRule::Form::kSegment, ":@");
  for (const char* text : {"a", ":", "eu:7", "user@host:7", "a.b-c_d"}) EXPECT_TRUE(rule.fits(text)) << text;
  for (const char* text : {"", ".", "..", "a/b", "a+b", "a b", "a%3Ab", "a:\n"}) {
    EXPECT_FALSE(rule.fits(text)) << text;
  }
  EXPECT_FALSE(rule.fits(std::string(129, ':')));
  EXPECT_TRUE(IdRule::make(IdRule::Form::kSegment, "!$&()*+,:;<=>@[]^|~")->fits("[a]|b"));
}

TEST(IdRule, RefusesCharactersWithAMeaningInAUrlOrATemplateOrAText) {
  for (const char* chars :
       {"/", ":/", "?", "#", "%", "{", "}", "\\", "\"", "'", "`", " ", ": @", "\t", "\x7f", "ä"}) {
    const auto rule = IdRule::make(IdRule::Form::kSegment, chars);
    ASSERT_FALSE(rule) << chars;
    EXPECT_TRUE(rule.error().starts_with("may hold only printable ASCII characters")) << rule.error();
  }
}

TEST(IdRule, KnowsTheCharactersOfItsIds) {
  const auto held = [](IdRule::Form form, std::string_view further) {
    const IdRule rule = *IdRule::make(form, further);
    std::string all;
    for (const char c : std::string_view("0aAgG-._:@/")) {
      if (rule.can_hold(c)) all += c;
    }
    return all;
  };
  EXPECT_EQ(held(IdRule::Form::kSegment, ""), "0aAgG-._");
  EXPECT_EQ(held(IdRule::Form::kSegment, "@:"), "0aAgG-._:@");
  EXPECT_EQ(held(IdRule::Form::kUuid, ""), "0a-");
  EXPECT_EQ(held(IdRule::Form::kInt, ""), "0");
}

TEST(IdRule, DistinguishesUuidsAndNumbers) {
  const IdRule uuid = *IdRule::make(IdRule::Form::kUuid, "");
  EXPECT_TRUE(uuid.fits("123e4567-e89b-12d3-a456-426614174000"));
  EXPECT_TRUE(uuid.fits("123E4567-E89B-12D3-A456-426614174ABC"));
  for (const char* text :
       {"", "7", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400",
        "123e4567-e89b-12d3-a456-4266141740000", "123e4567-e89b-12d3-a456-42661417400g",
        "123e4567-e89b-12d3-a4564-26614174000", "{123e4567-e89b-12d3-a456-426614174000}"}) {
    EXPECT_FALSE(uuid.fits(text)) << text;
  }
  const IdRule number = *IdRule::make(IdRule::Form::kInt, "");
  for (const char* text : {"0", "7", "70", "18446744073709551615"}) EXPECT_TRUE(number.fits(text)) << text;
  for (const char* text : {"", "00", "007", "-7", "+7", "7.0", "7e1", "0x7", "a", "184467440737095516150"}) {
    EXPECT_FALSE(number.fits(text)) << text;
  }
}

// Otherwise two spellings of one job were two channels, and one of them was silent for ever.
TEST(IdRule, HasOneSpellingForAUuidInEitherCase) {
  const PathPattern uploads =
      *PathPattern::compile("/{org}/{id}", false, *IdRule::make(IdRule::Form::kUuid, ""));
  EXPECT_EQ(uploads.match("/ACME/123E4567-E89B-12D3-A456-426614174ABC"),
            "ACME/123e4567-e89b-12d3-a456-426614174abc");
  EXPECT_EQ(pattern("/{id}").match("/123E4567"), "123E4567");
}

TEST(IdRule, RefusesCharactersThatChangeNothing) {
  const auto error_of = [](std::string_view chars) {
    return IdRule::make(IdRule::Form::kSegment, chars).error();
  };
  for (const char* chars : {"a-z", ":0", ".", "_:", "-"}) {
    EXPECT_NE(error_of(chars).find("ids may always hold letters, digits"), std::string::npos)
        << error_of(chars);
  }
  EXPECT_EQ(error_of(":@:"), "must not hold \":\" twice");
}

TEST(IdRule, IsTheSameForCharactersInAnotherOrder) {
  EXPECT_EQ(*IdRule::make(IdRule::Form::kSegment, ":@"), *IdRule::make(IdRule::Form::kSegment, "@:"));
  EXPECT_NE(*IdRule::make(IdRule::Form::kSegment, ":"), *IdRule::make(IdRule::Form::kSegment, "@"));
}

TEST(PathPattern, SaysWhatIsWrongWithBraces) {
  const auto error_of = [](std::string_view text) { return PathPattern::compile(text, false).error(); };
  EXPECT_EQ(error_of("/jobs/{{id}}"), "must not have doubled braces; a named segment is written as in {id}");
  EXPECT_TRUE(error_of("/jobs/{id}?x=1").starts_with("may hold only letters, digits and "))
      << error_of("/jobs/{id}?x=1");
}

TEST(PathPattern, MatchesItsSegmentsAndReturnsTheId) {
  const PathPattern events = pattern("/api/jobs/{id}/events/stream");
  EXPECT_EQ(events.match("/api/jobs/j-1/events/stream"), "j-1");
  for (const char* path :
       {"", "/", "/api/jobs/j-1/events", "/api/jobs/j-1/events/stream/", "/api/jobs/j-1/events/stream/x",
        "/api/jobs//events/stream", "//api/jobs/j-1/events/stream", "api/jobs/j-1/events/stream",
        "/API/jobs/j-1/events/stream", "/api/jobs/j-1/events/streams", "/api/jobs/../events/stream",
        "/api/jobs/./events/stream", "/api/jobs/a b/events/stream", "/x/api/jobs/j-1/events/stream"}) {
    EXPECT_FALSE(events.match(path)) << path;
  }
}

TEST(PathPattern, MayEndInTheId) {
  EXPECT_EQ(pattern("/jobs/{id}").match("/jobs/x"), "x");
  EXPECT_FALSE(pattern("/jobs/{id}").match("/jobs/"));
  EXPECT_FALSE(pattern("/jobs/{id}").match("/jobs"));
}

TEST(PathPattern, MayHaveNoId) {
  const PathPattern spools = pattern("/api/sse/stream");
  EXPECT_EQ(spools.names(), std::vector<std::string>{});
  EXPECT_EQ(spools.match("/api/sse/stream"), "");
  EXPECT_FALSE(spools.match("/api/sse/{id}"));
}

TEST(PathPattern, MatchesATrailingSlashOnlyIfConfigured) {
  EXPECT_EQ(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream/"), "7");
  EXPECT_EQ(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream"), "7");
  EXPECT_FALSE(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream//"));
  EXPECT_FALSE(pattern("/jobs/{id}/stream", false).match("/jobs/7/stream/"));
}

TEST(PathPattern, DecodesSegmentBySegment) {
  const PathPattern stream = pattern("/jobs/{id}/stream");
  EXPECT_EQ(stream.match("/jobs/%61%2D1/stream"), "a-1");
  EXPECT_EQ(stream.match("/%6Aobs/7/strea%6d"), "7");
  for (const char* path :
       {"/jobs/a%2Fb/stream", "/jobs/a%00/stream", "/jobs/%2e/stream", "/jobs/%2E%2e/stream",
        "/jobs/%/stream", "/jobs/%zz/stream", "/jobs%2F7/stream", "/jobs/7%0a/stream", "/jobs/%c0%ae/stream",
        "/jobs/%20/stream", "/jobs/7/stream%00"}) {
    EXPECT_FALSE(stream.match(path)) << path;
  }
}

TEST(PathPattern, RefusesAnInvalidPath) {
  for (const char* text :
       {"",        "api",          "/",        "//",           "/a//b",     "/a/",   "/a/./b",
        "/a/../b", "/a/{id}/{id}", "/a/x{id}", "/a/{id}.json", "/a/{Name}", "/a b",  "/a?b",
        "/a;b",    "/a$b",         "/a\"b",    "/a%20b",       "/ä",        "/a\nb", "/a(b)",
        "/a*",     "/a/{{id}}",    "/a/{}",    "/a/{i-d}",     "/a/{1}",    "/{",    "/}"}) {
    EXPECT_FALSE(PathPattern::compile(text, false)) << text;
  }
}

TEST(PathPattern, HasUpToTwoNamedSegmentsAndReturnsTheirValuesInTheOrderOfThePath) {
  const PathPattern stream = pattern("/api/orgs/{org}/jobs/{id}/stream");
  EXPECT_EQ(stream.names(), (std::vector<std::string>{"org", "id"}));
  EXPECT_EQ(stream.match("/api/orgs/acme/jobs/7/stream"), "acme/7");
  EXPECT_EQ(stream.match("/api/orgs/ac%6De/jobs/%37/stream"), "acme/7");
  EXPECT_EQ(pattern("/{id}/{org}").match("/7/acme"), "7/acme");
  EXPECT_EQ(pattern("/{job_id}").match("/7"), "7");
  for (const char* path :
       {"/api/orgs//jobs/7/stream", "/api/orgs/acme/jobs//stream", "/api/orgs/acme%2Fjobs/7/stream",
        "/api/orgs/acme%2F7/jobs/7/stream", "/api/orgs/../jobs/7/stream", "/api/orgs/a:b/jobs/7/stream",
        "/api/orgs/acme/jobs/7", "/api/jobs/7/stream"}) {
    EXPECT_FALSE(stream.match(path)) << path;
  }
  EXPECT_EQ(PathPattern::compile("/{a}/{b}/{c}", false).error(),
            "must not have more than two named segments");
  EXPECT_EQ(PathPattern::compile("/{org}/{org}", false).error(), "must not have more than one {org}");
  EXPECT_EQ(PathPattern::compile("/org-{org}", false).error(), "{org} must be a whole segment");
}

TEST(PathPattern, AppliesTheRuleForIdsOnlyToTheId) {
  const IdRule ids = *IdRule::make(IdRule::Form::kSegment, ":@");
  const PathPattern stream = *PathPattern::compile("/orgs/{org}/jobs/{id}", false, ids);
  EXPECT_EQ(stream.match("/orgs/acme/jobs/eu:7@x"), "acme/eu:7@x");
  EXPECT_EQ(stream.match("/orgs/acme/jobs/eu%3A7%40x"), "acme/eu:7@x");
  EXPECT_FALSE(stream.match("/orgs/ac:me/jobs/7"));
  EXPECT_FALSE(stream.match("/orgs/acme/jobs/7%2Fx"));
  EXPECT_FALSE(stream.match("/orgs/acme/jobs/7+x"));
  EXPECT_FALSE(PathPattern::compile("/jobs/{id}", false)->match("/jobs/eu:7"));
}

TEST(PathPattern, OverlapsAnotherIfSomePathMatchesBoth) {
  EXPECT_TRUE(paths_overlap("/a/b", "/a/b"));
  EXPECT_TRUE(paths_overlap("/a/{id}", "/a/{id}"));
  EXPECT_TRUE(paths_overlap("/a/{id}", "/a/latest"));
  EXPECT_TRUE(paths_overlap("/a/latest", "/a/{id}"));
  EXPECT_TRUE(paths_overlap("/{id}/b", "/a/{id}"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/a/{id}/b"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/b/{id}"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/a/not:an@id"));
}

// nginx's locations take any text for a named segment.
TEST(PathPattern, OverlapsAnotherFromWhichOnlyTheFormOfAnIdDiffers) {
  const auto with_form = [](std::string_view text, IdRule::Form form, bool slash = false) {
    return *PathPattern::compile(text, slash, *IdRule::make(form, ""));
  };
  const PathPattern numbers = with_form("/a/{id}", IdRule::Form::kInt);
  EXPECT_TRUE(overlap(numbers, with_form("/a/{id}", IdRule::Form::kUuid)));
  EXPECT_TRUE(overlap(numbers, pattern("/a/7")));
  EXPECT_FALSE(overlap(numbers, pattern("/a/latest"))) << "nginx prefers a location for one path";
  EXPECT_FALSE(overlap(pattern("/a/latest"), numbers));
  EXPECT_TRUE(overlap(numbers, pattern("/a/latest", true))) << "these are two paths";
  EXPECT_TRUE(overlap(with_form("/a/{id}/b", IdRule::Form::kInt), pattern("/a/latest/{org}")));
  EXPECT_FALSE(overlap(with_form("/a/{id}/b", IdRule::Form::kInt), pattern("/a/latest/{org}/c")));
}

}  // namespace
}  // namespace tailgate
