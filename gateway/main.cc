// The command line: checks and prints the configuration, or serves.
#include <event2/event.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/config/config.h"
#include "gateway/config/options.h"
#include "gateway/endpoints/answers.h"
#include "gateway/gateway.h"
#include "gateway/loop/small_file.h"
#include "gateway/startup.h"

#ifndef TAILGATE_VERSION
#define TAILGATE_VERSION "unknown"
#endif

namespace tailgate {
namespace {

constexpr int kExitEnvironment = 1;
constexpr int kExitConfiguration = 2;

constexpr const char* kUsage =
    "usage: tailgate --config FILE [--set key=value]...   serve, in the foreground\n"
    "       tailgate --check --config FILE [--set ...]    say what is wrong with FILE, start nothing\n"
    "       tailgate --print routes|cors --config FILE    tables for the nginx configuration\n"
    "       tailgate --print keys                         every configuration key\n"
    "       tailgate --version | --help\n";

struct Options {
  std::string config_file;
  std::vector<std::pair<std::string, std::string>> overrides;
  bool check = false;
  std::string print;
};

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<std::shared_ptr<const Config>> load(const Options& options) {
  // Refuses a file of more than 1 MiB, because it is neither a configuration nor a secret.
  const auto read = [](const std::string& path) { return read_small_file(path, 1U << 20); };
  const auto text = read(options.config_file);
  if (!text) return Error{text.error()};
  return load_config(*text, options.config_file, options.overrides, {.env = environment, .read_file = read});
}

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    if (option == "--check") {
      options.check = true;
      continue;
    }
    if (option != "--config" && option != "--set" && option != "--print")
      return Error{option + ": no such option"};
    if (++i == arguments.size()) return Error{option + ": needs a value"};
    const std::string& value = arguments[i];
    if (option == "--config") {
      options.config_file = value;
    } else if (option == "--print") {
      options.print = value;
    } else {
      const std::size_t equals = value.find('=');
      if (equals == std::string::npos) return Error{"--set " + value + ": must be key=value"};
      options.overrides.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    }
  }
  if (!options.print.empty() && options.print != "routes" && options.print != "cors" &&
      options.print != "keys") {
    return Error{"--print " + options.print + ": must be routes, cors or keys"};
  }
  if (options.config_file.empty() && options.print != "keys") return Error{"--config: must name a file"};
  return options;
}

void print_cors(const Config& config) {
  std::cout << "headers\t" << config.cors.allowed_headers() << '\n';
  for (const std::string& origin : config.cors.origins()) std::cout << origin << '\n';
}

void print_routes(const Config& config) {
  // The enumerators of Source, OnUnavailable and IdRule::Form, in their order.
  constexpr std::array kSources = {"channel", "log", "pages"};
  constexpr std::array kOnUnavailable = {"status", "sse", "auto"};
  constexpr std::array kForms = {"segment", "uuid", "int"};
  for (const Route& route : config.routes) {
    std::cout << route.name << '\t' << kSources.at(static_cast<std::size_t>(route.source)) << '\t'
              << route.path.text() << '\t' << kForms.at(static_cast<std::size_t>(route.path.ids().form()))
              << '\t' << (route.path.trailing_slash() ? "yes" : "no") << '\t'
              << kOnUnavailable.at(static_cast<std::size_t>(route.on_unavailable)) << '\t'
              << (route.who == Who::kOwner ? "owner" : "anyone") << '\t'
              << (route.auth == AuthBy::kGateway ? "gateway" : "application") << '\t' << route.retry.count()
              << '\t' << error_body(route, 503, unavailable_message(Unavailable::kRedis)) << '\t'
              << error_body(route, 405, kMethodMessage) << '\n';
  }
}

void log_cb(int severity, const char* message) noexcept {
  // Clients can cause these warnings, so their number is limited.
  static LogValve valve(10, 1);
  if (severity >= EVENT_LOG_WARN && valve.open(Clock::now())) log_warning("libevent", {{"what", message}});
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int fail(const std::string& message, int status) {
  std::cerr << message << '\n';
  return status;
}

// Blocks or unblocks SIGHUP.  Until the gateway handles this signal, it would end the process.  A blocked
// signal is delivered later.
void hold_reloads(bool is_held) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  (void)sigprocmask(is_held ? SIG_BLOCK : SIG_UNBLOCK, &signals, nullptr);
}

int serve(const Options& options, const std::shared_ptr<const Config>& config) {
  (void)std::signal(SIGPIPE, SIG_IGN);
#ifndef __SANITIZE_ADDRESS__  // ASan's leak check acts like a debugger
  // Forbids core files and debuggers of the same user, because memory holds keys and tokens.
  (void)prctl(PR_SET_DUMPABLE, 0);
#endif
  raise_descriptor_limit();
  event_set_log_callback(log_cb);

  auto keys = load_identity_keys(config->identity_key_file);
  if (!keys) return fail(keys.error(), kExitEnvironment);
  auto sockets = open_sockets(*config);
  if (!sockets) return fail(sockets.error(), kExitEnvironment);
  log_info(
      "started",
      {{"version", TAILGATE_VERSION}, {"config", options.config_file}, {"routes", config->routes.size()}});
  Gateway gateway(config, std::move(*sockets), std::move(*keys), [&options] { return load(options); });
  hold_reloads(false);
  gateway.run();
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  hold_reloads(true);
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::cout << "tailgate " << TAILGATE_VERSION << '\n';
    return 0;
  }
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::cout << kUsage;
    return 0;
  }
  const auto options = parse(arguments);
  if (!options) {
    std::cerr << "tailgate: " << options.error() << '\n' << kUsage;
    return kExitConfiguration;
  }
  if (options->print == "keys") {
    for (const Option& option : tailgate::options()) std::cout << option.key << '\n';
    return 0;
  }
  const auto config = load(*options);
  if (!config) return fail(config.error(), kExitConfiguration);
  if (options->print == "cors") {
    print_cors(**config);
  } else if (options->print == "routes") {
    print_routes(**config);
  } else if (options->check) {
    const std::size_t count = (*config)->routes.size();
    std::cout << options->config_file << ": good, " << count << (count == 1 ? " route\n" : " routes\n");
  } else {
    return serve(*options, *config);
  }
  return 0;
}

}  // namespace
}  // namespace tailgate

int main(int argc, char** argv) {
  return tailgate::run(std::vector<std::string>(argv + 1, argv + argc));
}
