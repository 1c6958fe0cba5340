// Reads [record.*], which say how a job's owner and status are read.
#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// These headers belong to one connection, or the gateway sets them in its own request to the application.
constexpr std::string_view kNeverForwarded[] = {
    "host",    "connection", "content-length", "transfer-encoding", "te",
    "trailer", "upgrade",    "keep-alive",     "accept-encoding",   "expect"};

// The ${names} that messages may use on every record, so that no field may have such a name.
constexpr std::string_view kReservedNames[] = {"id",         "status",        "now",       "route",
                                               "request_id", "connection_id", "max_age_s", "last_id"};

template <std::size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_header_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

class RecordReader {
 public:
  RecordReader(Settings& settings, const std::string& name)
      : table_(settings, "record." + name), rule_(std::make_unique<RecordRule>()) {
    rule_->name = name;
  }

  std::unique_ptr<RecordRule> read() {
    rule_->kind = table_.text("kind") == "http" ? RecordRule::Kind::kHttp : RecordRule::Kind::kHash;
    if (table_.settings().has_error_below(table_.at("kind"))) {
      // The required keys depend on the kind.
    } else if (rule_->kind == RecordRule::Kind::kHash) {
      table_.refuse({"target", "path", "forward", "timeout_s"},
                    "has no effect on a record of kind = \"hash\"");
      read_hash();
    } else {
      table_.refuse({"key", "user", "session"}, "has no effect on a record of kind = \"http\"");
      read_http();
    }
    rule_->status = table_.text("status");
    rule_->terminal = table_.texts("terminal");
    if (table_.has("status") != table_.has("terminal")) {
      table_.add_error(
          "status and terminal go together: the one names the field, the other the values after which "
          "nothing comes");
    }
    read_fields();
    rule_->list_fields();
    return std::move(rule_);
  }

 private:
  void require_id(const char* key, const std::string& text) {
    if (const std::string unknown = unknown_placeholder(text); !unknown.empty()) {
      table_.add_error(key, "there is no " + unknown + ": a job's id is written {id}");
    } else if (text.find("{id}") == std::string::npos) {
      table_.add_error(key, "must hold {id}, or all jobs would share one record");
    }
  }

  void read_hash() {
    if (table_.require("key")) {
      rule_->key = table_.text("key");
      require_id("key", rule_->key);
    }
    rule_->user = table_.text("user");
    rule_->session = table_.text("session");
  }

  void read_http() {
    if (table_.require("target")) {
      rule_->target = table_.text("target");
      if (rule_->target.starts_with("https://")) {
        table_.add_error("target",
                         "the gateway speaks no TLS; name the unix socket of the nginx leg that does, as in "
                         "\"unix:/run/tailgate/app.sock\"");
      } else if (const auto endpoint = parse_endpoint(rule_->target); !endpoint) {
        table_.add_error("target", endpoint.error());
      }
    }
    if (table_.require("path")) {
      rule_->path = table_.text("path");
      require_id("path", rule_->path);
      if (!rule_->path.starts_with('/')) table_.add_error("path", "must begin with \"/\"");
      if (rule_->path.find_first_of(" #") != std::string::npos)
        table_.add_error("path", "must hold no space and no \"#\"");
    }
    rule_->timeout = table_.duration("timeout_s");
    for (const std::string& given : table_.texts("forward")) {
      const std::string header = ascii_lower(given);
      if (!is_header_name(header)) {
        table_.add_error("forward", "must hold names of headers");
      } else if (header.starts_with("x-tailgate-") || contains(kNeverForwarded, header)) {
        table_.add_error("forward", header + " is not the caller's to set");
      }
      rule_->forward.push_back(header);
    }
  }

  void read_fields() {
    for (const std::string& name : table_.settings().names_in(table_.at("fields"))) {
      const std::string key = "fields." + name;
      if (contains(kReservedNames, name))
        table_.add_error(key, "${" + name + "} has a meaning of its own; choose another name");
      RecordField field;
      field.name = name;
      field.from = table_.has(key + ".from") ? table_.text(key + ".from") : name;
      field.absent = table_.settings().json(table_.at(key + ".absent"));
      const std::string as = table_.text(key + ".as");
      if (as == "number") field.as = RecordField::As::kNumber;
      if (as == "json") field.as = RecordField::As::kJson;
      rule_->fields.push_back(std::move(field));
    }
  }

  Section table_;
  std::unique_ptr<RecordRule> rule_;
};

}  // namespace

void read_records(Settings& settings, Config& config) {
  for (const std::string& name : settings.names_in("record")) {
    const bool is_http = settings.text("record." + name + ".kind") == "http";
    if (settings.is_fragment("record." + name, {is_http ? "target" : "key"})) continue;
    config.records.push_back(RecordReader(settings, name).read());
  }
}

}  // namespace tailgate
