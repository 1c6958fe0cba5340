// [record.*]: who owns a job and where it stands (config_parts.h).
#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kId = "{id}";

// Headers that belong to one connection, or that the gateway's request to the application sets itself.
constexpr std::string_view kNeverForwarded[] = {
    "host",    "connection", "content-length", "transfer-encoding", "te",
    "trailer", "upgrade",    "keep-alive",     "accept-encoding",   "expect"};

bool is_header_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

class RecordReader {
 public:
  RecordReader(Settings& settings, const std::string& name)
      : settings_(settings), at_("record." + name + '.'), rule_(std::make_unique<RecordRule>()) {
    rule_->name = name;
  }

  std::unique_ptr<RecordRule> read() {
    rule_->kind = settings_.text(at_ + "kind") == "http" ? RecordRule::Kind::kHttp : RecordRule::Kind::kHash;
    if (settings_.has_error_below(at_ + "kind") || settings_.is_misspelled(at_ + "kind")) {
      // Which keys it needs cannot be said.
    } else if (rule_->kind == RecordRule::Kind::kHash) {
      refuse({"target", "path", "forward", "timeout_s"}, "has no effect on a record of kind = \"hash\"");
      read_hash();
    } else {
      refuse({"key", "user", "session"}, "has no effect on a record of kind = \"http\"");
      read_http();
    }
    rule_->status = settings_.text(at_ + "status");
    rule_->terminal = settings_.texts(at_ + "terminal");
    if (settings_.has(at_ + "status") != settings_.has(at_ + "terminal")) {
      settings_.add_error("record." + rule_->name,
                          "status and terminal go together: the one names the field, the other "
                          "the values after which nothing comes");
    }
    read_fields();
    rule_->list_fields();
    return std::move(rule_);
  }

 private:
  void refuse(std::initializer_list<const char*> keys, const char* why) {
    for (const char* key : keys) {
      if (settings_.has(at_ + key)) settings_.add_error(at_ + key, why);
    }
  }

  void require_id(const std::string& key, const std::string& text) {
    if (const std::string unknown = unknown_place(text); !unknown.empty()) {
      settings_.add_error(key, "there is no " + unknown + ": a job's id is written {id}");
    } else if (text.find(kId) == std::string::npos)
      settings_.add_error(key, "must hold {id}, or all jobs would share one record");
  }

  void read_hash() {
    if (settings_.require(at_ + "key")) {
      rule_->key = settings_.text(at_ + "key");
      require_id(at_ + "key", rule_->key);
    }
    rule_->user = settings_.text(at_ + "user");
    rule_->session = settings_.text(at_ + "session");
  }

  void read_http() {
    if (settings_.require(at_ + "target")) {
      rule_->target = settings_.text(at_ + "target");
      if (rule_->target.starts_with("https://")) {
        settings_.add_error(
            at_ + "target",
            "the gateway speaks no TLS; name the unix socket of the nginx leg that does, as in "
            "\"unix:/run/tailgate/app.sock\"");
      } else if (const auto endpoint = parse_endpoint(rule_->target); !endpoint) {
        settings_.add_error(at_ + "target", endpoint.error());
      }
    }
    if (settings_.require(at_ + "path")) {
      rule_->path = settings_.text(at_ + "path");
      require_id(at_ + "path", rule_->path);
      if (!rule_->path.starts_with('/')) settings_.add_error(at_ + "path", "must begin with \"/\"");
      if (rule_->path.find_first_of(" #") != std::string::npos)
        settings_.add_error(at_ + "path", "must hold no space and no \"#\"");
    }
    rule_->timeout = settings_.duration(at_ + "timeout_s");
    for (const std::string& given : settings_.texts(at_ + "forward")) {
      const std::string header = ascii_lower(given);
      if (!is_header_name(header)) {
        settings_.add_error(at_ + "forward", "must hold names of headers");
      } else if (header.starts_with("x-tailgate-") ||
                 std::find(std::begin(kNeverForwarded), std::end(kNeverForwarded), header) !=
                     std::end(kNeverForwarded)) {
        settings_.add_error(at_ + "forward", header + " is not the caller's to set");
      }
      rule_->forward.push_back(header);
    }
  }

  void read_fields() {
    for (const std::string& name : settings_.names_in(at_ + "fields")) {
      const std::string key = at_ + "fields." + name;
      const auto& reserved = names_taken();
      if (std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
        settings_.add_error(key, "${" + name + "} has a meaning of its own; choose another name");
      }
      RecordField field;
      field.name = name;
      field.from = settings_.has(key + ".from") ? settings_.text(key + ".from") : name;
      field.absent = settings_.json(key + ".absent");
      const std::string as = settings_.text(key + ".as");
      if (as == "number") field.as = RecordField::As::kNumber;
      if (as == "json") field.as = RecordField::As::kJson;
      rule_->fields.push_back(std::move(field));
    }
  }

  Settings& settings_;
  std::string at_;  // "record.<name>."
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
