#include "gateway/routes/framing.h"

#include <algorithm>

#include "gateway/routes/sse.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// A browser sends its last id in a header when it reconnects.  Proxies refuse headers of several KB, and an
// EventSource that is refused never reconnects.
constexpr std::size_t kMaxIdBytes = 1024;

// One object for all payloads, so that parsing them allocates no memory in the steady state.
Members& shared_members() {
  static Members members;
  return members;
}

std::string id_from(const Members& members, const std::string& name) {
  const JsonValue* value = members.find(name);
  if (value == nullptr) return {};
  if (!value->is_string() && value->kind != JsonValue::Kind::kNumber) return {};
  std::string id = value->text();
  return id.size() <= kMaxIdBytes && is_sse_name(id) ? id : std::string();
}

FramingResult append_raw(std::string& out, const Route& route, std::string_view payload) {
  const bool must_read = route.only_objects || !route.id_from.empty() || !route.ends_on_field.empty();
  std::string id;
  bool last = false;
  if (must_read) {
    Members& members = shared_members();
    const bool is_object = members.read(payload);
    if (route.only_objects && !is_object) return FramingResult::kSkipped;
    if (is_object && !route.id_from.empty()) id = id_from(members, route.id_from);
    if (is_object && !route.ends_on_field.empty()) {
      const JsonValue* value = members.find(route.ends_on_field);
      last = value != nullptr && value->is_string() && contains(route.ends_on_values, value->text());
    }
  }
  append_event(out, route.event, payload, last ? kEndId : std::string_view(id));
  return last ? FramingResult::kLastFrame : FramingResult::kFrame;
}

FramingResult append_named(std::string& out, const Route& route, std::string_view payload) {
  Members& members = shared_members();
  if (!members.read(payload)) return FramingResult::kSkipped;
  const auto named =
      std::find_if(route.name_from.begin(), route.name_from.end(), [&](const std::string& member) {
        const JsonValue* value = members.find(member);
        return value != nullptr && value->is_string() && value->raw.size() > 2;
      });
  if (named == route.name_from.end()) return FramingResult::kSkipped;
  const std::string name = members.find(*named)->text();
  if (!is_sse_name(name)) return FramingResult::kSkipped;

  const JsonValue* value = members.find(route.data_from);
  std::string data = value == nullptr ? "{}" : value->text();
  if (!is_utf8(data)) data = to_utf8(data);
  const bool last = contains(route.ends_on_events, name);
  append_event(out, name, data, last ? kEndId : std::string_view());
  return last ? FramingResult::kLastFrame : FramingResult::kFrame;
}

}  // namespace

FramingResult append_message(std::string& out, const Route& route, std::string_view payload) {
  return route.framing == Framing::kNamed ? append_named(out, route, payload)
                                          : append_raw(out, route, payload);
}

void append_line(std::string& out, const std::vector<std::string>& fields, const LogEntry& entry) {
  out += "{\"id\":\"";
  out += entry.id.text();
  out += '"';
  for (const std::string& field : fields) {
    const auto found = std::find_if(entry.fields.begin(), entry.fields.end(),
                                    [&](const auto& pair) { return pair.first == field; });
    out += ',';
    append_json_quoted(out, field);
    out += ':';
    if (found == entry.fields.end()) {
      out += "null";
    } else {
      append_json_quoted(out, found->second);
    }
  }
  out += '}';
}

void append_entry(std::string& out, const Route& route, const LogEntry& entry) {
  out += "id: ";
  out += entry.id.text();
  out += "\nevent: ";
  out += route.event;
  out += "\ndata: ";
  append_line(out, route.entry, entry);
  out += "\n\n";
}

std::optional<EntryId> parse_end_id(std::string_view id) {
  if (id == kEndId) return EntryId{};
  if (!id.starts_with(kEndId) || id.substr(kEndId.size(), 1) != ".") return std::nullopt;
  return EntryId::parse(id.substr(kEndId.size() + 1));
}

}  // namespace tailgate
