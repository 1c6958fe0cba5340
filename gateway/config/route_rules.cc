// The rules about several keys of one [route.*].
#include <algorithm>
#include <cstddef>
#include <string>

#include "gateway/config/parts.h"

namespace tailgate {

namespace {

bool is_on_channel(const Route& route) {
  return route.source == Source::kChannel;
}

void check_path(const Section& table, const Route& route) {
  const bool key_has_id = route.key.find("{id}") != std::string::npos;
  if (key_has_id && !route.path.has_id()) table.add_error("key", "holds {id}, but the path does not");
  if (!key_has_id && route.path.has_id())
    table.add_error("key", "must hold {id} as the path does, or all jobs would share one");
  if (route.record == nullptr) {
    return table.refuse({"record_grace_ms", "end_grace_ms", "not_found"}, "has no effect without record");
  }
  if (route.record->terminal.empty())
    table.refuse({"end_grace_ms"},
                 "has no effect: [record." + route.record->name + "] has no terminal status");
  if (!route.path.has_id()) table.add_error("record", "needs {id} in the path");
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
