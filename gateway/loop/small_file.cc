#include "gateway/loop/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tailgate {

namespace {

struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  const int fd;
};

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  const auto failed = [&path] { return Error{path + ": " + std::strerror(errno)}; };
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) return failed();
  struct stat about {};
  if (fstat(file.fd, &about) != 0) return failed();
  if (!S_ISREG(about.st_mode)) return Error{path + ": is not a regular file"};
  // Reads pieces, because a buffer of `max_bytes` would be far larger than most files.
  std::string text;
  std::array<char, 16384> piece{};
  while (text.size() <= max_bytes) {
    const ssize_t got = read(file.fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  if (text.size() > max_bytes)
    return Error{path + ": is larger than " + std::to_string(max_bytes) + " bytes"};
  return text;
}

}  // namespace tailgate
