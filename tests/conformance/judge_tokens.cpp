// Prints the gateway's verdicts on tokens, for tests/conformance/oracle.
//
//     judge_tokens --config FILE --now MS < LINES
//
// Each line of the input is "<name of the route> <token>".  Each line of the output is the word of the header
// X-Tailgate-Verdict; after "ok" follow the user as JSON and the provider.  Each token is judged twice,
// because the second verdict comes from the cache.  If the verdicts differ, the line has both.
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>

#include "gateway/auth/authenticator.h"
#include "gateway/config/config.h"
#include "gateway/text/json.h"

namespace tailgate {
namespace {

[[noreturn]] void die(const std::string& why) {
  std::cerr << "judge_tokens: " << why << '\n';
  std::exit(2);
}

std::string whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) die("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The providers of a configuration, with the keys from their files.
class FileProviders {
 public:
  explicit FileProviders(const Config& config) : config_(config) {
    for (const auto& provider : config.providers) {
      std::vector<VerificationKey> keys;
      for (const std::string& source : provider->jwks) {
        const auto address = parse_jwks_source(source);
        if (!address || address->file.empty()) die(source + " is no file");
        auto parsed = parse_jwks(whole_file(address->file));
        if (!parsed) die(address->file + ": " + parsed.error());
        std::move(parsed->keys.begin(), parsed->keys.end(), std::back_inserter(keys));
      }
      if (!provider->jwks.empty()) keys_[provider->name] = std::make_shared<const KeySet>(std::move(keys));
    }
  }

  Provider provider(const std::string& name) const {
    const auto keys = keys_.find(name);
    return {.rule = config_.provider(name), .keys = keys == keys_.end() ? nullptr : keys->second};
  }

 private:
  const Config& config_;
  std::map<std::string, std::shared_ptr<const KeySet>> keys_;
};

std::string judged(Authenticator& judge, const Config& config, std::string_view line, WallTime now) {
  const std::size_t space = line.find(' ');
  const std::string_view name = line.substr(0, space);
  const std::string header = "Bearer " + std::string(line.substr(space + 1));
  const RequestParts request{.query = {}, .cookies = {}, .header = [&header](const char* wanted) {
                               return std::string_view(wanted) == "authorization"
                                          ? std::optional<std::string_view>(header)
                                          : std::nullopt;
                             }};
  for (const Route& route : config.routes) {
    if (route.name != name) continue;
    const Verdict verdict = judge.authenticate(route, request, now, Authenticator::UnknownKid::kRefuse);
    std::string answer = word_of(verdict);
    if (verdict.kind != Verdict::Kind::kOk) return answer;
    return answer + ' ' + json_quote(verdict.identity.user) + ' ' + verdict.identity.provider;
  }
  die("no route " + std::string(name));
}

int run(int argc, char** argv) {
  std::string config_file;
  long long now_ms = -1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const std::string_view value = argv[i + 1];
    if (option == "--config") config_file = value;
    if (option == "--now") std::from_chars(value.data(), value.data() + value.size(), now_ms);
  }
  if (config_file.empty() || now_ms < 0) die("--config FILE --now MS");
  const ConfigSources sources{.env = [](const std::string&) { return std::optional<std::string>(); },
                              .read_file = [](const std::string& path) { return Result(whole_file(path)); }};
  const auto config = load_config(whole_file(config_file), config_file, {}, sources);
  if (!config) die(config.error());
  const FileProviders providers(**config);
  Authenticator judge([&providers](const std::string& name) { return providers.provider(name); });
  const WallTime now{std::chrono::milliseconds(now_ms)};
  for (std::string line; std::getline(std::cin, line);) {
    const std::string first = judged(judge, **config, line, now);
    const std::string second = judged(judge, **config, line, now);
    std::cout << first;
    if (second != first) std::cout << " then " << second;
    std::cout << '\n';
  }
  return 0;
}

}  // namespace
}  // namespace tailgate

int main(int argc, char** argv) {
  return tailgate::run(argc, argv);
}
