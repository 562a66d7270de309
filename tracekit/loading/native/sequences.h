// Short sequences of bytes, each with several allowed bytes at every place, searched for in many texts in one pass.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "finish.h"

namespace tracekit {

class Sequences {
 public:
  // A byte at a distance from the place of its sequence, and the number of the set that it has to be in.
  struct Step {
    std::int32_t distance, set;
  };

  // ``sets``: 256 flags each; ``steps`` of each sequence one after the other, ``counts`` of them.
  // False if the columns do not fit each other.
  bool take(const Column<Byte>& sets, const Column<Step>& steps, const Column<std::int32_t>& counts,
            const Column<std::uint64_t>& marks) {
    if (counts.size() != marks.size()) return false;
    allowed_.resize(sets.size() / 256);
    for (std::size_t i = 0; i < 256 * allowed_.size(); i++) allowed_[i / 256][i % 256] = sets[i] != 0;
    std::size_t from = 0;
    for (std::size_t i = 0; i < counts.size(); i++) {
      const std::int32_t count = counts[i];
      if (count < 1 || static_cast<std::size_t>(count) > steps.size() - from) return false;
      for (std::size_t end = from + static_cast<std::size_t>(count); from < end; from++) {
        const Step step = steps[from];
        const bool is_near = step.distance > -FARTHEST && step.distance < FARTHEST;
        if (!is_near || step.set < 0 || static_cast<std::size_t>(step.set) >= allowed_.size()) return false;
        steps_.push_back(step);
      }
      add(steps_.size() - static_cast<std::size_t>(count), marks[i]);
    }
    return from == steps.size();
  }

  // Writes by text the marks of all sequences whose place is in it; false if the columns do not fit each other.
  // A sequence may go beyond its text: bytes are those of all texts.
  bool search(const Column<std::int64_t>& offsets, const Column<Byte>& text, const Made<std::uint64_t>& made) const {
    const std::size_t rows = made.size();
    const auto size = static_cast<std::int64_t>(text.size());
    if (offsets.size() != rows + 1 || offsets[0] != 0 || offsets[rows] != size) return false;
    for (std::size_t row = 0; row < rows; row++) {
      if (offsets[row + 1] < offsets[row]) return false;
      made.set(row, 0);
    }
    const Byte* const data = text.at(0);
    std::size_t row = 0;
    for (std::int64_t at = 0; at < size; at++) {
      const unsigned first = data[at], second = at + 1 < size ? data[at + 1] : 0;
      if (!may_begin(first, second)) continue;
      for (const Sequence& one : by_byte_[first]) {
        const std::int64_t place = at - steps_[one.from].distance;
        if (!is_at(one, place, data, size)) continue;
        while (offsets[row] > place) row--;
        while (offsets[row + 1] <= place) row++;
        made.set(row, marks_of(made, row) | one.mark);
      }
    }
    return true;
  }

 private:
  static constexpr std::int32_t FARTHEST = 4096;

  struct Sequence {
    std::size_t from, to;  // its steps
    std::uint64_t mark;
  };

  // Adds the sequence of the last steps: it is looked at where its first step and one beside it fit.
  void add(std::size_t from, std::uint64_t mark) {
    const Sequence made{from, steps_.size(), mark};
    std::size_t beside = from + 1;
    const auto distance = [&](std::size_t step) { return steps_[step].distance - steps_[from].distance; };
    while (beside < made.to && distance(beside) != 1) beside++;
    for (unsigned first = 0; first < 256; first++) {
      if (!allowed_[static_cast<std::size_t>(steps_[from].set)][first]) continue;
      by_byte_[first].push_back(made);
      for (unsigned second = 0; second < 256; second++)
        if (beside == made.to || allowed_[static_cast<std::size_t>(steps_[beside].set)][second])
          begins_[first << 2 | second >> 6] |= std::uint64_t{1} << (second & 63);
    }
  }

  bool may_begin(unsigned first, unsigned second) const {
    return begins_[first << 2 | second >> 6] >> (second & 63) & 1;
  }

  bool is_at(const Sequence& one, std::int64_t place, const Byte* data, std::int64_t size) const {
    for (std::size_t step = one.from; step < one.to; step++) {
      const std::int64_t at = place + steps_[step].distance;
      if (at < 0 || at >= size || !allowed_[static_cast<std::size_t>(steps_[step].set)][data[at]]) return false;
    }
    return place >= 0 && place < size;
  }

  static std::uint64_t marks_of(const Made<std::uint64_t>& made, std::size_t row) {
    std::uint64_t marks;
    std::memcpy(&marks, made.at(row), sizeof marks);
    return marks;
  }

  std::vector<std::array<bool, 256>> allowed_;
  std::vector<Step> steps_;
  std::array<std::vector<Sequence>, 256> by_byte_;  // whose first step allows the byte
  std::array<std::uint64_t, 1024> begins_{};        // by two bytes, whether any sequence is to be looked at
};

}  // namespace tracekit
