// The rules about several keys of one [route.*].
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

bool is_on_channel(const Route& route) {
  return route.source == Source::kChannel;
}

// A template that a route uses, and the words for it in a finding.
struct UsedTemplate {
  const char* key;    // the option of the route
  std::string whose;  // before the verb: "" or "[record.job] "
  std::string where;  // after the name: "" or " in its key"
  const KeyTemplate& text;
};

// A template may use only the path's names.  Different jobs must not share one key or one record.
void check_template(const Section& table, const PathPattern& path, const UsedTemplate& used) {
  for (const std::string& name : used.text.names()) {
    if (contains(path.names(), name)) continue;
    return table.add_error(used.key, used.whose + "holds {" + name + '}' + used.where +
                                         ", but the path does not; write {{ and }} for braces");
  }
  const auto joined =
      used.text.joined_names([&path](std::string_view name, char c) { return path.value_can_hold(name, c); });
  if (!joined) return;
  table.add_error(used.key, used.whose + "needs a character between {" + joined->first + "} and {" +
                                joined->second + '}' + used.where + " that {" + joined->first +
                                "} cannot hold; otherwise two jobs could share one");
}

// The last named segment says which job is meant; the segments before it may only say where the job belongs.
void check_key(const Section& table, const Route& route) {
  check_template(table, route.path, {.key = "key", .whose = "", .where = "", .text = route.key});
  if (route.path.names().empty() || contains(route.key.names(), route.path.names().back())) return;
  const std::string& name = route.path.names().back();
  table.add_error("key", "must hold {" + name + "} as the path does, or all jobs would share one" +
                             std::string(route.key.has_in_braces(name) ? kIdInBraces : ""));
}

// Who may see the record may see the key.  So the key holds all names of the record, and the record holds
// each name of the key that stands before one of its own in the path, as {org} before {id}.
void check_names_of_record(const Section& table, const Route& route, const KeyTemplate& text) {
  const std::string record = "[record." + route.record->name + ']';
  const std::vector<std::string>& path = route.path.names();
  bool is_before_a_name_of_the_record = false;
  for (auto name = path.rbegin(); name != path.rend(); ++name) {
    const bool in_record = contains(text.names(), *name);
    const bool in_key = contains(route.key.names(), *name);
    // check_key() has a finding for the last name.
    if (in_record && !in_key && *name != path.back()) {
      table.add_error("key", "must hold {" + *name + "} as " + record +
                                 " does; otherwise the record of one job would permit another job's data");
    }
    if (in_key && !in_record && is_before_a_name_of_the_record) {
      table.add_error("key", "holds {" + *name + "}, but " + record +
                                 " does not, so it would permit the data of this job with any other {" +
                                 *name + "}; let the record hold {" + *name + "}, or take it out of the key");
    }
    is_before_a_name_of_the_record = is_before_a_name_of_the_record || in_record;
  }
}

void check_record(const Section& table, const Route& route) {
  const RecordRule& record = *route.record;
  if (route.path.names().empty()) return table.add_error("record", "needs {id} in the path");
  const bool is_hash = record.kind == RecordRule::Kind::kHash;
  const KeyTemplate& text = is_hash ? record.key : record.path;
  check_template(table, route.path,
                 {.key = "record",
                  .whose = "[record." + record.name + "] ",
                  .where = is_hash ? " in its key" : " in its path",
                  .text = text});
  check_names_of_record(table, route, text);
  for (const std::string& name : route.path.names()) {
    if (std::ranges::find(record.fields, name, &RecordField::name) == record.fields.end()) continue;
    table.add_error("path", "${" + name + "} would be both a segment and a field of [record." + record.name +
                                "]; choose another name");
  }
}

void check_path(const Section& table, const Route& route) {
  check_key(table, route);
  if (!contains(route.path.names(), "id")) {
    table.refuse({"id", "id_chars"}, "has no effect without {id} in the path");
  } else if (table.text("id") != "segment") {
    table.refuse({"id_chars"}, "needs id = \"segment\"");
  }
  if (route.record == nullptr) {
    return table.refuse({"record_grace_ms", "end_grace_ms", "not_found"}, "has no effect without record");
  }
  if (route.record->terminal.empty())
    table.refuse({"end_grace_ms"},
                 "has no effect: [record." + route.record->name + "] has no terminal status");
  check_record(table, route);
  if (route.record->kind == RecordRule::Kind::kHttp && !is_on_channel(route)) {
    table.add_error("record",
                    "[record." + route.record->name +
                        "] is kept by the application (kind = \"http\"), which only a route with source = "
                        "\"channel\" can ask; logs and pages need a record in Redis (kind = \"hash\")");
  }
}

void check_anyone(const Section& table, const Route& route) {
  for (const char* key : {"providers", "credentials", "auth"}) {
    if (table.has(key) && !table.texts(key).empty())
      table.add_error(key, "has no effect with who = \"anyone\": nobody's token is looked at");
  }
  if (route.record == nullptr) return;
  if (!route.record->user.empty() || !route.record->session.empty()) {
    table.add_error("who", "would show to anyone what [record." + route.record->name +
                               "] says belongs to somebody; take a record without user and session");
  }
}

void check_credentials(const Section& table, const Route& route) {
  if (route.credentials.empty()) {
    return table.add_error("credentials",
                           "is missing: with who = \"owner\" it says where a caller shows who he is");
  }
  const auto is_session = [](const Credential& credential) { return credential.is_session(); };
  const bool has_sessions = std::any_of(route.credentials.begin(), route.credentials.end(), is_session);
  const bool has_tokens = !std::all_of(route.credentials.begin(), route.credentials.end(), is_session);
  if (has_tokens && route.providers.empty())
    table.add_error("providers", "is missing: it says whose tokens are believed");
  if (!has_tokens && !route.providers.empty())
    table.add_error("providers", "has no effect without a credential that is a token");
  const RecordRule& record = *route.record;
  if (record.kind == RecordRule::Kind::kHttp) return;
  if (has_tokens && record.user.empty()) {
    table.add_error("credentials",
                    "holds a token, but [record." + record.name + "] has no user that could match it");
  }
  if (has_sessions && record.session.empty()) {
    table.add_error("credentials",
                    "holds a session, but [record." + record.name + "] has no session that could match it");
  }
}

// With auth = "application" Tailgate reads only the query, because `forward` names the headers.
void check_credentials_for_application(const Section& table, const Route& route) {
  const auto texts = table.texts("credentials");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto kind = route.credentials[i].kind;
    if (kind == Credential::Kind::kTokenQuery || kind == Credential::Kind::kSessionQuery) continue;
    table.add_error("credentials", '"' + texts[i] +
                                       "\" has no effect with auth = \"application\"; forward of [record." +
                                       route.record->name + "] names the headers that the application gets");
  }
}

void check_owner(const Section& table, const Route& route) {
  if (route.record == nullptr)
    return table.add_error("record", "is missing: with who = \"owner\" it says whose a job is");
  const RecordRule& record = *route.record;
  const bool is_http = record.kind == RecordRule::Kind::kHttp;
  if (is_http && record.forward.empty()) {
    table.add_error("record",
                    "[record." + record.name +
                        "] forwards no header, so the application could not know whose job it is asked for");
  }
  if (!is_http && record.user.empty() && record.session.empty()) {
    table.add_error(
        "record", "[record." + record.name + "] has neither user nor session, so nobody would be the owner");
  }
  if (route.auth == AuthBy::kGateway) return check_credentials(table, route);
  if (!is_http) {
    table.add_error(
        "auth", "\"application\" needs a record of kind = \"http\": the application decides by its answer");
  }
  if (!route.providers.empty()) {
    table.add_error("providers",
                    "has no effect with auth = \"application\": the application verifies the token");
  }
  check_credentials_for_application(table, route);
}

void check_framing(const Section& table, const Route& route) {
  const std::string framing = table.text("framing");
  if (route.source == Source::kLog && !framing.empty() && framing != "entry")
    table.add_error("framing", "must be \"entry\" with source = \"log\"");
  if (!is_on_channel(route)) return;
  if (framing == "entry") table.add_error("framing", "\"entry\" needs source = \"log\"");
  if (framing == "named")
    return table.refuse({"event", "id_from", "only_objects"}, "has no effect with framing = \"named\"");
  table.refuse({"name_from", "data_from"}, "needs framing = \"named\"");
  if (!route.ends_on_events.empty()) table.add_error("ends_on.events", "needs framing = \"named\"");
}

}  // namespace

void check_route(const Section& table, const Route& route) {
  check_path(table, route);
  if (route.who == Who::kOwner) {
    check_owner(table, route);
  } else {
    check_anyone(table, route);
  }
  check_framing(table, route);
  if (!route.ends_on_values.empty() && route.ends_on_field.empty())
    table.add_error("ends_on.values", "needs ends_on.field");
  if (route.page_default > route.page_max) table.add_error("page_default", "must not exceed page_max");
  if (route.age_notice && route.max_age <= route.age_notice_before)
    table.add_error("age_notice", "needs a max_age_s that is longer than its before_s");
}

}  // namespace tailgate
