#include "gateway/io/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
  std::string text(max_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(file.fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_bytes) return Error{path + ": is larger than " + std::to_string(max_bytes) + " bytes"};
  text.resize(size);
  return text;
}

}  // namespace tailgate
