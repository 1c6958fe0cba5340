#include "gateway/routes/record.h"

#include <algorithm>
#include <cstddef>

#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

using As = RecordField::As;

constexpr std::size_t kMaxNumberBytes = 64;

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (!name.empty() && !contains(names, name)) names.push_back(name);
}

// Reads `text` as the type `field.as` and returns that value as JSON.
std::string value_of_text(const RecordField& field, const std::string& text) {
  if (field.as == As::kText) return json_quote(text);
  const std::optional<JsonValue> json = parse_json(text);
  if (!json || json->kind == JsonValue::Kind::kNull) return field.absent;
  if (field.as == As::kNumber) {
    // No progress or count needs a longer number.
    const bool is_number = json->kind == JsonValue::Kind::kNumber && json->raw.size() <= kMaxNumberBytes &&
                           is_finite_number(json->raw);
    return is_number ? std::string(json->raw) : field.absent;
  }
  return to_utf8(json->raw);
}

// Reads `member` of an application's answer as the type `field.as` and returns that value as JSON.
std::string value_of_member(const RecordField& field, const JsonValue& member) {
  using Kind = JsonValue::Kind;
  if (member.kind == Kind::kNull) return field.absent;
  if (field.as == As::kJson) return to_utf8(member.raw);
  if (member.kind == Kind::kObject || member.kind == Kind::kArray) return field.absent;
  return value_of_text(field, member.text());
}

void set_status(Record& record, const RecordRule& rule, std::string status) {
  record.terminal = rule.is_terminal(status);
  record.values["status"] = status.empty() ? "null" : json_quote(status);
  record.status = std::move(status);
}

}  // namespace

bool RecordRule::is_terminal(std::string_view status_text) const {
  return contains(terminal, status_text);
}

void RecordRule::list_fields() {
  watch_fields.clear();
  for (const std::string* field : {&user, &session, &status}) add_once(watch_fields, *field);
  for (const RecordField& field : fields) {
    if (field.as != RecordField::As::kJson) add_once(watch_fields, field.from);
  }
  hash_fields = watch_fields;
  for (const RecordField& field : fields) add_once(hash_fields, field.from);
}

std::optional<Record> record_from_hash(const RecordRule& rule, const std::vector<std::string>& names,
                                       const std::vector<std::optional<std::string>>& texts) {
  static const std::optional<std::string> kAbsent;
  const auto text_of = [&](const std::string& name) -> const std::optional<std::string>& {
    const auto i = static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
    return i < texts.size() ? texts[i] : kAbsent;
  };
  if (std::ranges::none_of(texts, [](const auto& text) { return text.has_value(); })) return std::nullopt;
  Record record;
  record.user = text_of(rule.user).value_or("");
  record.session = text_of(rule.session).value_or("");
  for (const RecordField& field : rule.fields) {
    const auto& text = text_of(field.from);
    record.values[field.name] = text ? value_of_text(field, *text) : field.absent;
  }
  set_status(record, rule, text_of(rule.status).value_or(""));
  return record;
}

Result<Record> record_from_json(const RecordRule& rule, std::string_view body) {
  Members members;
  if (!members.read(body)) return Error{"the status endpoint's answer is not a JSON object"};
  Record record;
  for (const RecordField& field : rule.fields) {
    const JsonValue* member = members.find(field.from);
    record.values[field.name] = member != nullptr ? value_of_member(field, *member) : field.absent;
  }
  set_status(record, rule, members.text_of(rule.status).value_or(""));
  return record;
}

bool may_see(const Record& record, std::string_view user, std::string_view session) {
  const bool is_user = !user.empty() && user == record.user;
  const bool is_session = !session.empty() && session == record.session;
  return is_user || is_session;
}

}  // namespace tailgate
