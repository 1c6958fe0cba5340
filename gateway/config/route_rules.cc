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

// A template that a route uses, and the words for it in a finding, as in "[record.job] holds {x} in its key".
struct UsedTemplate {
  const char* key;      // the option of the route
  std::string subject;  // "" or "[record.job] "
  std::string place;    // "" or " in its key"
  const KeyTemplate& text;
};

// "{org} and {id}"
std::string list_of_names(const PathPattern& path) {
  return '{' + join(path.names(), "}, {", "} and {") + '}';
}

// The finding for a template with a name that the path lacks.
std::string unknown_name(const PathPattern& path, const UsedTemplate& used, const std::string& name) {
  const std::string begin = used.subject + "holds {" + name + '}' + used.place;
  const std::string has = path.names().empty() ? "no {name}" : list_of_names(path);
  if (!used.subject.empty())
    return begin + ", but this path has " + has + "; all routes of a record need its names";
  // Suggests another segment only if there is room for it: a path has at most two names.
  const std::string as_segment =
      path.names().size() < 2 ? '{' + name + "} as a segment of the path, or " : "";
  return begin + ", but the path " + path.text() + " has " + has + "; write " + as_segment + "{{" + name +
         "}} for braces";
}

// Checks that a template uses only the path's names, and that two jobs never share one key or one record.
void check_template(const Section& table, const PathPattern& path, const UsedTemplate& used) {
  for (const std::string& name : used.text.names()) {
    if (!contains(path.names(), name)) return table.add_error(used.key, unknown_name(path, used, name));
  }
  const auto joined = used.text.joined_names(path.rules());
  if (!joined) return;
  table.add_error(used.key, used.subject + "needs a character between {" + joined->first + "} and {" +
                                joined->second + '}' + used.place +
                                " that one of them cannot hold; otherwise two jobs could share one");
}

// The key must hold the last named segment, because this segment identifies the job.  The key need not hold
// the segments before it.
void check_key(const Section& table, const Route& route) {
  check_template(table, route.path, {.key = "key", .subject = "", .place = "", .text = route.key});
  if (table.has_error() || route.path.names().empty()) return;
  const std::string& name = route.path.names().back();
  if (contains(route.key.names(), name)) return;
  table.add_error("key", "must hold {" + name + "} as the path does, or requests that differ only in {" +
                             name + "} would share one" +
                             std::string(route.key.has_in_braces(name) ? kIdInBraces : ""));
}

// A caller whom the record permits gets the data at the key.  So the key must hold every name that the record
// holds.  If the key holds a name that the record leaves out, this name must stand after all names of the
// record in the path.  A wrong example: the path is /{org}/{id}, the key holds both names, and the record
// holds only {id}.  Such a record would permit the data of every {org}.
void check_names_of_record(const Section& table, const Route& route, const KeyTemplate& text) {
  const std::string record = "[record." + route.record->name + ']';
  const auto refuse_missing = [&](const std::string& name) {
    table.add_error("key", "must hold {" + name + "} as " + record +
                               " does; otherwise the record of one job would permit another job's data");
  };
  const auto refuse_earlier = [&](const std::string& name) {
    table.add_error("key", "holds {" + name + "}, but " + record + " does not, so the record of one job " +
                               "would permit the data of this job with any other {" + name +
                               "}; let the record hold {" + name + "}, or take it out of the key");
  };
  bool is_before_a_name_of_the_record = false;
  const std::vector<std::string>& names = route.path.names();
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const bool in_record = contains(text.names(), *name);
    const bool in_key = contains(route.key.names(), *name);
    if (in_record && !in_key) refuse_missing(*name);
    if (in_key && !in_record && is_before_a_name_of_the_record) refuse_earlier(*name);
    is_before_a_name_of_the_record |= in_record;
  }
}

void check_record(const Section& table, const Route& route) {
  const RecordRule& record = *route.record;
  if (route.path.names().empty())
    return table.add_error("record", "needs a named segment in the path, such as {id}");
  const bool is_hash = record.kind == RecordRule::Kind::kHash;
  const KeyTemplate& text = is_hash ? record.key : record.path;
  check_template(table, route.path,
                 {.key = "record",
                  .subject = "[record." + record.name + "] ",
                  .place = is_hash ? " in its key" : " in its path",
                  .text = text});
  if (!table.has_error()) check_names_of_record(table, route, text);
  if (route.source == Source::kPages) return;  // pages have no messages
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
  // If the route's own key has a finding, findings about the record would only repeat it.
  if (!table.settings().has_error_below(table.at("key"))) check_record(table, route);
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

// With auth = "application", only credentials in the query have an effect, because `forward` names the
// headers that the application gets.
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
