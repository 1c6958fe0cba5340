#include "gateway/startup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "gateway/auth/identity_seal.h"
#include "gateway/base/log.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// systemd's first descriptor, sd_listen_fds(3).
constexpr int kFirstInherited = 3;
constexpr std::size_t kMaxKeyFileBytes = 4096;

// Takes over the descriptor that LISTEN_FDNAMES calls `name`, if there is one.
std::optional<Socket> inherited(std::string_view name) {
  const char* pid = std::getenv("LISTEN_PID");
  const char* names = std::getenv("LISTEN_FDNAMES");
  if (pid == nullptr || names == nullptr || std::to_string(getpid()) != pid) return std::nullopt;
  const auto list = split(names, ':');
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] != name) continue;
    const int fd = kFirstInherited + static_cast<int>(i);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
    log_info("socket.inherited", {{"name", name}});
    return Socket(fd);
  }
  return std::nullopt;
}

// The message ends with the meaning of errno.
Error key_file_error(const std::string& file, const char* what) {
  return Error{"identity.key_file: " + file + ": " + what + ": " + std::strerror(errno)};
}

}  // namespace

Result<Sockets> open_sockets(const Config& config) {
  struct Listener {
    std::string name;
    const Endpoint& endpoint;
    Socket& socket;
  };
  Sockets sockets;
  for (const auto& [name, endpoint, socket] : {Listener{"streams", config.listen_streams, sockets.streams},
                                               Listener{"auth", config.listen_auth, sockets.auth},
                                               Listener{"ops", config.listen_ops, sockets.ops}}) {
    if (auto given = inherited(name)) {
      sockets.inherited = true;
      socket = std::move(*given);
      continue;
    }
    const UnixSocketRule rule{
        .path = endpoint.unix_path, .mode = config.socket_mode, .group = config.socket_group};
    auto made = rule.path.empty() ? listen_tcp(endpoint.host, endpoint.port) : listen_unix(rule);
    if (!made) return Error{"listen." + name + ": " + made.error()};
    socket = std::move(*made);
  }
  return sockets;
}

Result<std::vector<std::string>> load_identity_keys(const std::string& file) {
  struct stat about {};
  if (lstat(file.c_str(), &about) == 0 || errno != ENOENT) return read_identity_keys(file);
  const auto made = make_identity_keys();
  if (!made) return Error{"identity.key_file: " + made.error()};
  // The keys are written to a draft, which is then linked into place.  If several processes start together,
  // one of them makes the file, and none reads half a file.
  const std::string draft = file + '.' + std::to_string(getpid());
  const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return key_file_error(file, "cannot create it");
  const bool written = write(fd, made->data(), made->size()) == static_cast<ssize_t>(made->size());
  close(fd);
  const bool placed = written && (link(draft.c_str(), file.c_str()) == 0 || errno == EEXIST);
  const int error = errno;
  unlink(draft.c_str());
  errno = error;
  if (!placed) return key_file_error(file, "cannot create it");
  return read_identity_keys(file);
}

Result<std::vector<std::string>> read_identity_keys(const std::string& file) {
  const auto refused = [&file](const std::string& why) {
    return Error{"identity.key_file: " + file + ": " + why};
  };
  // Without O_NONBLOCK, opening a FIFO would block the loop.
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ELOOP) return refused("must not be a symbolic link");
  if (fd < 0) return key_file_error(file, "cannot open it");
  struct stat about {};
  std::array<char, kMaxKeyFileBytes + 1> text{};
  const bool is_known = fstat(fd, &about) == 0;
  const ssize_t length = read(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  errno = error;
  if (!is_known || !S_ISREG(about.st_mode)) return refused("is not a regular file");
  if ((about.st_mode & 077) != 0) return refused("must not be readable by group or others (chmod 600)");
  if (length < 0) return key_file_error(file, "cannot read it");
  if (static_cast<std::size_t>(length) > kMaxKeyFileBytes) return refused("is larger than 4096 bytes");
  auto keys = parse_identity_keys({text.data(), static_cast<std::size_t>(length)});
  if (!keys) return refused(keys.error());
  return keys;
}

}  // namespace tailgate
