// Histogram: values in logarithmic buckets, whose width is at most 1/32 of the value.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tailgate::bench {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[index_of(value)];
    ++total_;
    if (value > greatest_) greatest_ = value;
  }

  std::uint64_t greatest() const { return greatest_; }

  // The quantile `share` (0 to 1), rounded up to the end of its bucket; 0 if there are no values.
  std::uint64_t quantile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < counts_.size(); ++index) {
      seen += counts_[index];
      if (seen > 0 && seen >= wanted) return highest_in(index);
    }
    return greatest_;
  }

 private:
  static constexpr unsigned kBits = 5;
  static constexpr std::uint64_t kPerOctave = 1U << kBits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < kPerOctave) return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return (octave + 1) * kPerOctave + ((value >> octave) - kPerOctave);
  }
  static std::uint64_t highest_in(std::size_t index) {
    if (index < kPerOctave) return index;
    const auto octave = index / kPerOctave - 1;
    return (((index % kPerOctave) + kPerOctave + 1) << octave) - 1;
  }

  std::array<std::uint64_t, (64 - kBits + 1) * kPerOctave> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t greatest_ = 0;
};

}  // namespace tailgate::bench
