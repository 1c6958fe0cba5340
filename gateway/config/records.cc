// Reads [record.*], which say how a job's owner and status are read.
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// These headers belong to one connection, or the gateway sets them in its own request to the application.
constexpr std::string_view kNeverForwarded[] = {
    "accept",  "host",       "connection",      "content-length", "transfer-encoding", "te", "trailer",
    "upgrade", "keep-alive", "accept-encoding", "expect"};

// Reads a text with {names}.  check_route() checks that the path of each of the record's routes has these
// names.
KeyTemplate read_template(const Section& table, const char* key) {
  auto text = table.checked(key, KeyTemplate::compile(table.text(key)));
  if (!text) return {};
  if (text->names().empty()) {
    table.add_error(key, "must hold {id}, or another name of a segment, or all jobs would share one record" +
                             std::string(table.text(key).find("{{") != std::string::npos ? kIdInBraces : ""));
  }
  return std::move(*text);
}

bool starts_with_escape(std::string_view text) {
  return text.size() >= 3 && percent_decode(text.substr(0, 3)).has_value();
}

// True if a template holds only characters of a path or query (RFC 3986), percent-encoded bytes and braces.
bool is_text_of_url(std::string_view text) {
  constexpr std::string_view kPunctuation = "-._~!$&'()*+,;=:@/?{}";
  for (; !text.empty(); text.remove_prefix(1)) {
    if (!(text.front() == '%' ? starts_with_escape(text) : consists_of(text.substr(0, 1), kPunctuation)))
      return false;
  }
  return true;
}

void read_hash(const Section& table, RecordRule& rule) {
  table.refuse({"target", "path", "forward", "timeout_s"}, "has no effect on a record of kind = \"hash\"");
  if (table.require("key")) rule.key = read_template(table, "key");
  rule.user = table.text("user");
  rule.session = table.text("session");
}

void read_http(const Section& table, RecordRule& rule) {
  table.refuse({"key", "user", "session"}, "has no effect on a record of kind = \"http\"");
  if (table.require("target")) {
    rule.target = table.text("target");
    if (rule.target.starts_with("https://")) {
      table.add_error("target",
                      "the gateway speaks no TLS; name the unix socket of the nginx leg that does, as in "
                      "\"unix:/run/tailgate/app.sock\"");
    } else {
      table.checked("target", parse_endpoint(rule.target));
    }
  }
  if (table.require("path")) {
    rule.path = read_template(table, "path");
    const std::string text = table.text("path");
    if (!text.starts_with('/')) table.add_error("path", "must begin with \"/\"");
    if (!is_text_of_url(text)) {
      table.add_error("path",
                      "may hold only the characters of a URL's path and query; percent-encode others, "
                      "as in %C3%A9");
    }
  }
  rule.timeout = table.duration("timeout_s");
  for (const std::string& given : table.texts("forward")) {
    const std::string header = ascii_lower(given);
    if (!consists_of(header, "-_")) {
      table.add_error("forward", "must hold names of headers");
    } else if (header.starts_with("x-tailgate-") || contains(kNeverForwarded, header)) {
      table.add_error("forward", header + " is not the caller's to set");
    } else if (header.find('_') != std::string::npos) {
      table.add_error("forward", header + " does not arrive: nginx drops headers with \"_\" in their names");
    } else if (contains(rule.forward, header)) {
      table.add_error("forward", "names " + header + " twice");
    }
    rule.forward.push_back(header);
  }
}

void read_fields(const Section& table, RecordRule& rule) {
  for (const std::string& name : table.settings().names_in(table.at("fields"))) {
    const std::string key = "fields." + name;
    if (name == "id" || contains(kNamesOfMessages, name))
      table.add_error(key, "${" + name + "} has a meaning of its own; choose another name");
    RecordField field;
    field.name = name;
    field.from = table.has(key + ".from") ? table.text(key + ".from") : name;
    field.absent = table.settings().json(table.at(key + ".absent"));
    const std::string as = table.text(key + ".as");
    if (as == "number") field.as = RecordField::As::kNumber;
    if (as == "json") field.as = RecordField::As::kJson;
    rule.fields.push_back(std::move(field));
  }
}

RecordRule read_record(const Section& table, const std::string& name) {
  RecordRule rule;
  rule.name = name;
  rule.kind = table.text("kind") == "http" ? RecordRule::Kind::kHttp : RecordRule::Kind::kHash;
  if (table.settings().has_error_below(table.at("kind"))) {
    // The kind is invalid, so it is unknown which other keys are required.
  } else if (rule.kind == RecordRule::Kind::kHash) {
    read_hash(table, rule);
  } else {
    read_http(table, rule);
  }
  rule.status = table.text("status");
  rule.terminal = table.texts("terminal");
  if (table.has("status") != table.has("terminal")) {
    table.add_error(
        "status and terminal go together: the one names the field, the other the values after which "
        "nothing comes");
  }
  read_fields(table, rule);
  rule.list_fields();
  return rule;
}

}  // namespace

void read_records(Settings& settings, Config& config) {
  for (const std::string& name : settings.names_in("record")) {
    const Section table(settings, "record." + name);
    const bool is_http = table.text("kind") == "http";
    if (settings.is_fragment(table.name(), {is_http ? "target" : "key"})) continue;
    config.records.push_back(read_record(table, name));
  }
}

}  // namespace tailgate
