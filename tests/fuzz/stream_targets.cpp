// Fuzz targets for payloads, log entries, records and messages.  For any input, a browser must see exactly
// the intended events and no forged one.
#include <algorithm>
#include <array>

#include "gateway/routes/framing.h"
#include "gateway/sse/sse.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"
#include "tests/fuzz/fixture.h"
#include "tests/fuzz/reference_json.h"
#include "tests/fuzz/target.h"
#include "tests/support/event_parser.h"

namespace tailgate::testing {

namespace {

using As = RecordField::As;

constexpr std::string_view kSentinel = "sentinel";

// The event that a browser reads from `block` in the middle of a stream, if there is one.
std::optional<ParsedEvent> event_in(std::string_view block) {
  std::string stream;
  append_retry(stream, std::chrono::seconds(3));
  stream += block;
  append_event(stream, kSentinel, "{}");
  const EventParser parsed = parse_events(stream);
  must(parsed.at_rest() && parsed.ignored().empty(), "a block is complete and has no unknown fields");
  must(parsed.retry() == 3000U, "a block does not set the reconnection time");
  const auto& events = parsed.events();
  must(!events.empty() && events.size() <= 2, "a block is at most one event");
  must(events.back().name == kSentinel && events.back().data == "{}",
       "a block does not change the next event");
  if (events.size() == 1) {
    must(events.back().last_id.empty(), "a block without an event sets no id");
    return std::nullopt;
  }
  must(block.ends_with("\n\n"), "a block ends with an empty line");
  must(block.find('\r') == std::string_view::npos, "lines end with LF");
  return events.front();
}

bool is_one_of(const nlohmann::json& value, const std::vector<std::string>& texts) {
  return value.is_string() && std::find(texts.begin(), texts.end(), value.get<std::string>()) != texts.end();
}

void check_raw(const Route& route, std::string_view payload, FramingResult framed,
               const std::optional<ParsedEvent>& event) {
  const auto json = reference_json(payload);
  const bool is_object = json ? json->is_object() : Members().read(payload);
  must((framed == FramingResult::kSkipped) == (route.only_objects && !is_object),
       "a payload is skipped only if it is not an object");
  must(event.has_value() == (framed != FramingResult::kSkipped),
       "a payload is one event unless it is skipped");
  if (!event) return;
  must(event->name == (route.event.empty() ? "message" : route.event), "the event has the route's name");
  must(event->data == with_plain_line_ends(payload), "the data are the payload");
  if (!json) return;
  const bool ends = is_object && json->contains(route.ends_on_field) &&
                    is_one_of((*json)[route.ends_on_field], route.ends_on_values);
  must((framed == FramingResult::kLastFrame) == ends, "only a terminal status ends the stream");
  if (ends) must(event->last_id == kEndId, "the last frame has the end id");
  if (ends || route.id_from.empty()) return;
  const auto& member = is_object && json->contains(route.id_from) ? (*json)[route.id_from] : nlohmann::json();
  if (member.is_string()) {
    const auto id = member.get<std::string>();
    must(event->last_id == (is_sse_name(id) ? id : ""), "the id is the member's text");
  } else if (!member.is_number()) {
    must(event->last_id.empty(), "only a text or a number becomes the id");
  } else {
    must(reference_json(event->last_id) == member, "the id is the member's number");
  }
}

void check_named(const Route& route, std::string_view payload, FramingResult framed,
                 const std::optional<ParsedEvent>& event) {
  must(event.has_value() == (framed != FramingResult::kSkipped),
       "a payload is one event unless it is skipped");
  if (event) must(is_utf8(event->name) && is_utf8(event->data), "name and data are UTF-8");
  const auto json = reference_json(payload);
  if (!json) {
    if (!Members().read(payload)) must(!event, "a payload that is not an object is skipped");
    return;
  }
  std::string name;
  for (const std::string& member : route.name_from) {
    if (name.empty() && json->is_object() && json->contains(member) && (*json)[member].is_string()) {
      name = (*json)[member].get<std::string>();
    }
  }
  must(event.has_value() == (!name.empty() && is_sse_name(name)),
       "a payload is skipped only if it has no usable name");
  if (!event) return;
  must(event->name == name, "the event has the payload's name");
  must((framed == FramingResult::kLastFrame) == is_one_of(name, route.ends_on_events),
       "only a configured name ends the stream");
  must(event->last_id == (framed == FramingResult::kLastFrame ? kEndId : ""),
       "only the last frame has the end id");
  if (!json->contains(route.data_from)) {
    must(event->data == "{}", "without a data member the data are {}");
  } else if (const auto& data = (*json)[route.data_from]; data.is_string()) {
    must(event->data == with_plain_line_ends(data.get<std::string>()), "the data are the unquoted string");
  } else {
    must(reference_json(event->data) == data, "the data are the payload's member");
  }
}

// A value for a template: `text` if it is JSON, else a JSON string.
std::string as_value(std::string_view text) {
  return is_json(text) ? std::string(text) : json_quote(text);
}

using Kind = Message::Kind;

void check_message(const Message& message, const Values& values, std::string_view id, Kind kind) {
  std::string block;
  message.append_to(block, values, id);
  if (kind == Kind::kComment) {
    must(!event_in(block), "a comment is no event");
    must(block.starts_with(": "), "a comment begins with \": \"");
    return;
  }
  const auto event = event_in(block);
  must(event.has_value(), "a message is an event");
  must(event->last_id == id, "a message has its id");
  if (kind == Kind::kJsonEvent)
    must(nlohmann::json::accept(without_differences(event->data)), "the data are JSON");
}

// Checks that each status message of the route, with these values, is one event with JSON data.
void check_messages_of(const Route& route, const Values& values) {
  for (const auto* list : {&route.standing, &route.ending}) {
    for (const StatusMessage& entry : *list) check_message(entry.message, values, kEndId, Kind::kJsonEvent);
  }
}

void check_values(const RecordRule& rule, const Record& record) {
  must(record.terminal == rule.is_terminal(record.status), "terminal follows from the status");
  must(!may_see(record, "", ""), "a caller without user and session may not see the job");
  for (const RecordField& field : rule.fields) {
    const auto found = record.values.find(field.name);
    must(found != record.values.end() && is_utf8(found->second), "every field has a value in UTF-8");
    const auto json = reference_json(without_differences(found->second));
    must(json.has_value(), "a value is JSON");
    if (found->second == field.absent) continue;
    must(field.as != As::kNumber || json->is_number(), "the value of a number field is a number");
    must(field.as != As::kText || json->is_string(), "the value of a text field is a string");
  }
}

}  // namespace

// The SSE encoder: a browser must read the events and comments that were written.
void fuzz_sse(std::string_view input) {
  Pieces pieces(input);
  std::string stream;
  append_retry(stream, std::chrono::milliseconds(pieces.byte()));
  std::vector<ParsedEvent> expected;
  std::vector<std::string> comments;
  std::string last_id;
  while (!pieces.done()) {
    const std::string_view name = pieces.text();
    const std::string_view data = pieces.text();
    const std::string_view id = pieces.text();
    if (name == "#") {
      append_comment(stream, data);
      const std::string text = with_plain_line_ends(data);
      for (const std::string_view line : split(text, '\n')) comments.emplace_back(line);
      continue;
    }
    if (!is_sse_name(name) || !is_sse_name(id)) {
      must(std::string(name).append(id).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos,
           "only CR, LF and NUL make a name invalid");
      continue;
    }
    append_event(stream, name, data, id);
    if (!id.empty()) last_id = id;
    expected.push_back({.name = name.empty() ? "message" : std::string(name),
                        .data = with_plain_line_ends(data),
                        .last_id = last_id});
  }
  const EventParser parsed = parse_events(stream);
  must(parsed.events() == expected, "a browser reads the events that were written");
  must(parsed.comments() == comments, "a browser reads the comments that were written");
  must(parsed.at_rest() && parsed.ignored().empty(), "all blocks are complete");

  EventParser bytewise;
  for (const char& c : stream) bytewise.feed({&c, 1});
  must(bytewise.events() == expected, "the events do not depend on the pieces");
}

void fuzz_payload(std::string_view input) {
  Pieces pieces(input);
  static const std::array<const Route*, 4> kRoutes = {&shipped_route("events"), &shipped_route("spools"),
                                                      &shipped_route("job"), &shipped_route("status")};
  const Route& route = *kRoutes[pieces.byte() % kRoutes.size()];
  const std::string_view payload = pieces.rest();
  std::string block;
  const FramingResult framed = append_message(block, route, payload);
  must(block.empty() == (framed == FramingResult::kSkipped), "only a skipped payload writes nothing");
  const auto event = event_in(block);
  if (route.framing == Framing::kNamed) {
    check_named(route, payload, framed, event);
  } else {
    check_raw(route, payload, framed, event);
  }
}

void fuzz_entry(std::string_view input) {
  Pieces pieces(input);
  const Route& route = shipped_route("log-stream");
  LogEntry entry{.id = {pieces.byte() * 1'000'000'000'000U, pieces.byte()}, .fields = {}};
  while (!pieces.done()) {
    const std::string_view name = pieces.text();
    entry.fields.emplace_back(name, pieces.text());
  }
  std::string block;
  append_entry(block, route, entry);
  const auto event = event_in(block);
  must(event && event->name == "log" && event->last_id == entry.id.text(),
       "an entry is one event with its id");
  must(is_utf8(event->data), "the data are UTF-8");
  const auto json = reference_json(event->data);
  must(json && json->is_object() && json->size() == 1 + route.entry.size(),
       "the data are an object with the id and the fields of the route");
  must((*json)["id"] == entry.id.text(), "the object has the entry's id");
  for (const std::string& field : route.entry) {
    nlohmann::json expected;
    for (const auto& [name, value] : entry.fields) {
      if (name == field) expected = to_utf8(value);
    }
    must((*json)[field] == expected, "a member is the last of the entry's fields with its name, or null");
  }
}

void fuzz_record(std::string_view input) {
  Pieces pieces(input);
  const unsigned choice = pieces.byte();
  const Route& route = shipped_route(choice % 2 == 0 ? "job" : "status");
  const RecordRule& rule = *route.record;
  std::optional<Record> record;
  if (choice % 4 < 2) {
    const auto& names = (choice & 8) != 0 ? rule.watch_fields : rule.hash_fields;
    std::vector<std::optional<std::string>> texts(names.size());
    bool has_any = false;
    for (auto& text : texts) {
      if (pieces.done()) break;
      if (pieces.byte() % 2 == 1) text = pieces.text();
      has_any = has_any || text;
    }
    record = record_from_hash(rule, names, texts);
    must(record.has_value() == has_any, "there is a record only if one of its fields exists");
    if (record) {
      const auto value = [&](const std::string& name) {
        const auto found = std::find(names.begin(), names.end(), name);
        return found == names.end() ? std::nullopt : texts[static_cast<std::size_t>(found - names.begin())];
      };
      must(record->user == value(rule.user).value_or(""), "the user is the field of the hash");
      must(record->status == value(rule.status).value_or(""), "the status is the field of the hash");
      must(may_see(*record, record->user, "") == !record->user.empty(),
           "only a user who is not empty may see the job");
    }
  } else {
    auto answer = record_from_json(rule, pieces.rest());
    must(static_cast<bool>(answer) == Members().read(pieces.rest()), "exactly the objects are accepted");
    if (answer) record = std::move(*answer);
    if (record)
      must(record->user.empty() && record->session.empty(), "an answer of the application names no owner");
  }
  if (!record) return;
  check_values(rule, *record);
  Values values = record->values;
  values["id"] = "\"job-1\"";
  check_messages_of(route, values);
}

// Any template with any values.
void fuzz_message(std::string_view input) {
  Pieces pieces(input);
  const std::string_view event = pieces.text();
  const std::string_view content = pieces.text();
  std::string_view id = pieces.text();
  if (!is_sse_name(id)) id = {};
  const std::vector<std::string> known = {"a", "b", "c"};
  Values values;
  values["a"] = as_value(pieces.text());
  values["b"] = as_value(pieces.rest());

  const auto comment = Message::make(Kind::kComment, "", content, known);
  const auto text = Message::make(Kind::kTextEvent, event, content, known);
  const auto json = Message::make(Kind::kJsonEvent, event, content, known);
  if (comment) check_message(*comment, values, id, Kind::kComment);
  if (text) check_message(*text, values, id, Kind::kTextEvent);
  if (json) check_message(*json, values, id, Kind::kJsonEvent);
  must(!json || text, "a template that is accepted as JSON is accepted as text");
  if (!is_sse_name(event)) must(!text && !json, "an event's name holds no CR, LF or NUL");
  if (content.find("${") == std::string_view::npos) {
    must(static_cast<bool>(comment), "a template without names is accepted");
    must(static_cast<bool>(json) == (is_sse_name(event) && is_json(content)),
         "a template without names is accepted as JSON only if it is JSON");
  }
}

}  // namespace tailgate::testing
