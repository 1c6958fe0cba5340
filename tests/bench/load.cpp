// The load generator: opens streams, publishes messages, measures when they arrive, and reads the CPU time
// and memory of the watched processes.  It has one thread and one epoll, and prints one JSON object.
//
//   load streams --to ADDRESS --path TEMPLATE --streams N --topics T [--publish ...] [--messages M --rate R]
//   load requests --to ADDRESS --path TEMPLATE --connections C --requests N
//
// Stream i follows topic i % T, and message k goes to topic k % T, so each stream knows its next message.
// If a message is missing, is duplicated or comes out of order, the exit status is 1.
#include <sys/resource.h>

#include <csignal>
#include <string_view>

#include "tests/bench/address.h"
#include "tests/bench/command_line.h"
#include "tests/bench/load_options.h"
#include "tests/bench/request_run.h"
#include "tests/bench/stream_run.h"

namespace tailgate::bench {
namespace {

int run(int count, char** words) {
  const std::string_view mode = count > 1 ? words[1] : "";
  if (mode != "streams" && mode != "requests") die("load streams|requests ...: see the head of load.cpp");
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const Options options = parse(count, words);
  return mode == "streams" ? run_streams(options) : run_requests(options);
}

}  // namespace
}  // namespace tailgate::bench

int main(int count, char** words) {
  return tailgate::bench::run(count, words);
}
