// What is left to do when all spans are read: their order, their attributes in that order, ids that come twice in a
// trace, and parents.  A trace is a run of rows with the same id, and has a table of its own, which is small.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "interner.h"

namespace tracekit {

// A column as it comes from Python, which need not be aligned.
template <class T> class Column {
 public:
  Column() = default;
  Column(const Byte* data, std::size_t bytes) : data_(data), size_(bytes / sizeof(T)) {}

  std::size_t size() const { return size_; }
  T operator[](std::size_t row) const {
    T value;
    std::memcpy(&value, data_ + row * sizeof(T), sizeof(T));
    return value;
  }
  const Byte* at(std::size_t row) const { return data_ + row * sizeof(T); }

 private:
  const Byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Likewise one that is written.
template <class T> class Made {
 public:
  Made(Byte* data, std::size_t bytes) : data_(data), size_(bytes / sizeof(T)) {}

  std::size_t size() const { return size_; }
  void set(std::size_t row, T value) const { std::memcpy(data_ + row * sizeof(T), &value, sizeof(T)); }
  Byte* at(std::size_t row) const { return data_ + row * sizeof(T); }

 private:
  Byte* data_;
  std::size_t size_;
};

struct Keys {
  Column<std::uint64_t> trace_hi, trace_lo;
  Column<std::int64_t> start_ns;
  Column<std::int32_t> source;         // empty, as the next one, where spans of one start keep their order
  Column<std::int64_t> record_number;

  std::size_t size() const { return trace_hi.size(); }
};

inline std::size_t slots_for(std::size_t count) {
  std::size_t slots = 4;
  while (slots < 2 * count) slots *= 2;
  return slots;
}

// The rows of spans by trace id, start, and where these are given source and record; of equal ones in their order.
class ByTrace {
 public:
  explicit ByTrace(const Keys& keys) : keys_(keys) {}

  void run(const Made<std::int64_t>& order) {
    number();
    std::vector<std::uint32_t> sorted(traces_.size());
    std::iota(sorted.begin(), sorted.end(), 0u);
    std::sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Trace &x = traces_[a], &y = traces_[b];
      return x.hi != y.hi ? x.hi < y.hi : x.lo < y.lo;
    });
    std::size_t before = 0;
    for (const std::uint32_t trace : sorted) {
      const std::size_t count = traces_[trace].count;
      traces_[trace].count = before;
      before += count;
    }
    rows_.resize(keys_.size());
    for (std::size_t row = 0; row < rows_.size(); row++) rows_[traces_[trace_[row]].count++] = static_cast<std::uint32_t>(row);
    std::size_t from = 0;
    for (const std::uint32_t trace : sorted) {
      const std::size_t to = traces_[trace].count;
      by_start(from, to);
      for (std::size_t at = from; at < to; at++) order.set(at, started_[at - from].row);
      from = to;
    }
  }

 private:
  struct Trace {
    std::uint64_t hi, lo;
    std::size_t count;  // of its spans; then where the next one of them goes
  };

  // Gives numbers to traces in the order of their first spans.
  void number() {
    std::vector<std::int32_t> slots(1024, -1);
    trace_.reserve(keys_.size());
    for (std::size_t row = 0; row < keys_.size(); row++) {
      const std::uint64_t hi = keys_.trace_hi[row], lo = keys_.trace_lo[row];
      if (!row || !is_of(trace_.back(), hi, lo)) {
        trace_.push_back(numbered(slots, hi, lo));
      } else {
        trace_.push_back(trace_.back());
      }
      traces_[trace_.back()].count++;
    }
  }

  bool is_of(std::uint32_t trace, std::uint64_t hi, std::uint64_t lo) const {
    return traces_[trace].lo == lo && traces_[trace].hi == hi;
  }

  std::uint32_t numbered(std::vector<std::int32_t>& slots, std::uint64_t hi, std::uint64_t lo) {
    std::int32_t& slot = slot_of(slots, hi, lo);
    if (slot >= 0) return static_cast<std::uint32_t>(slot);
    const auto fresh = static_cast<std::uint32_t>(traces_.size());
    slot = static_cast<std::int32_t>(fresh);
    traces_.push_back({hi, lo, 0});
    if (traces_.size() * 2 > slots.size()) {
      std::vector<std::int32_t> larger(slots.size() * 2, -1);
      for (std::size_t i = 0; i < traces_.size(); i++)
        slot_of(larger, traces_[i].hi, traces_[i].lo) = static_cast<std::int32_t>(i);
      slots.swap(larger);
    }
    return fresh;
  }

  std::int32_t& slot_of(std::vector<std::int32_t>& slots, std::uint64_t hi, std::uint64_t lo) const {
    std::size_t at = mixed(hi ^ hash_seed, lo ^ 0xE7037ED1A0B428DBu) & (slots.size() - 1);
    while (slots[at] >= 0 && !is_of(static_cast<std::uint32_t>(slots[at]), hi, lo)) at = (at + 1) & (slots.size() - 1);
    return slots[at];
  }

  // Sorts the spans of a trace, whose rows are ascending.
  void by_start(std::size_t from, std::size_t to) {
    started_.clear();
    for (std::size_t at = from; at < to; at++) started_.push_back({keys_.start_ns[rows_[at]], rows_[at]});
    const auto is_before = [this](const Started& a, const Started& b) {
      if (a.start_ns != b.start_ns) return a.start_ns < b.start_ns;
      if (!keys_.source.size()) return a.row < b.row;
      const std::int32_t s = keys_.source[a.row], t = keys_.source[b.row];
      if (s != t) return s < t;
      const std::int64_t x = keys_.record_number[a.row], y = keys_.record_number[b.row];
      return x != y ? x < y : a.row < b.row;
    };
    if (!std::is_sorted(started_.begin(), started_.end(), is_before))
      std::sort(started_.begin(), started_.end(), is_before);
  }

  struct Started {
    std::int64_t start_ns;
    std::uint32_t row;
  };

  const Keys& keys_;
  std::vector<Trace> traces_;
  std::vector<std::uint32_t> trace_, rows_;  // the trace of each row; the rows trace by trace
  std::vector<Started> started_;             // of one trace
};

// Copies the codes of some rows, row after row; false for rows or places outside of the tables.
inline bool copy_lists(const Column<std::int64_t>& offsets, const Column<std::int32_t>& codes,
                       const Column<std::int64_t>& rows, const Made<std::int64_t>& new_offsets,
                       const Made<std::int32_t>& new_codes) {
  constexpr std::size_t SIZE = sizeof(std::int32_t);
  std::size_t filled = 0;
  if (new_offsets.size() != rows.size() + 1) return false;
  new_offsets.set(0, 0);
  for (std::size_t at = 0; at < rows.size(); at++) {
    const std::int64_t row = rows[at];
    if (row < 0 || static_cast<std::size_t>(row) + 1 >= offsets.size()) return false;
    const std::int64_t from = offsets[static_cast<std::size_t>(row)], to = offsets[static_cast<std::size_t>(row) + 1];
    if (from < 0 || to < from || static_cast<std::size_t>(to) > codes.size()) return false;
    const auto length = static_cast<std::size_t>(to - from);
    if (length > new_codes.size() - filled) return false;
    if (length) std::memcpy(new_codes.at(filled), codes.at(static_cast<std::size_t>(from)), length * SIZE);
    filled += length;
    new_offsets.set(at + 1, static_cast<std::int64_t>(filled));
  }
  return true;
}

// The rows of one trace by their span id: of several with one id the first.
class Ids {
 public:
  static constexpr std::uint32_t NONE = 0xFFFFFFFFu;

  // Forgets the rows before, and makes room for so many.
  void clear(std::size_t count) {
    const std::size_t slots = slots_for(count);
    if (slots > slots_.size()) slots_.resize(slots);
    mask_ = slots - 1;
    std::fill_n(slots_.begin(), slots, Slot());
  }

  // Adds a row; returns whether its id was there.
  bool add(std::uint64_t id, std::uint32_t row) {
    Slot& slot = slots_[place(id)];
    if (slot.row == NONE) {
      slot = {id, row, false};
      return false;
    }
    return slot.is_twice = true;
  }

  std::uint32_t find(std::uint64_t id, bool& is_twice) const {
    const Slot& slot = slots_[place(id)];
    is_twice = slot.is_twice;
    return slot.row;
  }

 private:
  struct Slot {
    std::uint64_t id = 0;
    std::uint32_t row = NONE;
    bool is_twice = false;
  };

  std::size_t place(std::uint64_t id) const {
    std::size_t at = mixed(id ^ hash_seed, 0xA0761D6478BD642Fu) & mask_;
    while (slots_[at].row != NONE && slots_[at].id != id) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
};

// Rows of the table of attributes.
struct AttributeColumns {
  Column<std::int32_t> key, name_space;
  Column<std::int8_t> type, origin;
  Column<std::int64_t> integer, bits;  // bits: of the double
  Column<std::uint8_t> is_indexed;
  Column<std::int64_t> offsets;        // into the text
  Column<Byte> text;

  std::size_t size() const { return key.size(); }

  bool fit() const {
    const std::size_t n = size();
    if (name_space.size() != n || type.size() != n || origin.size() != n || integer.size() != n || bits.size() != n ||
        is_indexed.size() != n || offsets.size() < n + 1)
      return false;
    for (std::size_t i = 0; i < n; i++)
      if (offsets[i] < 0 || offsets[i + 1] < offsets[i]) return false;
    return offsets[n] <= static_cast<std::int64_t>(text.size());
  }

  std::uint64_t hash(std::size_t row) const {
    const auto from = static_cast<std::size_t>(offsets[row]), to = static_cast<std::size_t>(offsets[row + 1]);
    const std::uint64_t small = static_cast<std::uint64_t>(static_cast<std::uint32_t>(key[row])) << 32 |
                                static_cast<std::uint32_t>(name_space[row]);
    const std::uint64_t smaller = static_cast<std::uint64_t>(static_cast<std::uint8_t>(type[row])) << 16 |
                                  static_cast<std::uint64_t>(static_cast<std::uint8_t>(origin[row])) << 8 |
                                  is_indexed[row];
    const std::uint64_t value = mixed(static_cast<std::uint64_t>(integer[row]) ^ 0xA0761D6478BD642Fu,
                                      static_cast<std::uint64_t>(bits[row]) ^ 0xE7037ED1A0B428DBu);
    return mixed(hashed(text.at(from), to - from) ^ value, mixed(small ^ 0xA0761D6478BD642Fu, smaller ^ hash_seed));
  }
};

// Whether no two rows have the same hash: then no two are equal.
inline bool are_distinct(const AttributeColumns& columns) {
  const std::size_t count = columns.size(), mask = slots_for(count) - 1;
  std::vector<std::uint64_t> slots(mask + 1);
  for (std::size_t row = 0; row < count; row++) {
    const std::uint64_t hash = columns.hash(row) | 1;  // 0 is an empty slot
    std::size_t at = hash >> 1 & mask;
    for (; slots[at]; at = (at + 1) & mask)
      if (slots[at] == hash) return false;
    slots[at] = hash;
  }
  return true;
}

// Whether any trace has an id of a span twice.
inline bool has_twice(const Column<std::uint64_t>& hi, const Column<std::uint64_t>& lo, const Column<std::uint64_t>& ids) {
  Ids known;
  for (std::size_t from = 0, to; from < ids.size(); from = to) {
    for (to = from + 1; to < ids.size() && lo[to] == lo[from] && hi[to] == hi[from]; to++) {
    }
    known.clear(to - from);
    for (std::size_t row = from; row < to; row++)
      if (known.add(ids[row], static_cast<std::uint32_t>(row - from))) return true;
  }
  return false;
}

// For every row the first row of its trace with the wanted id, -1 without, and whether there are several.
inline void look_up(const Column<std::uint64_t>& ids, const Column<std::uint64_t>& wanted,
                    const Column<std::int32_t>& trace, const Made<std::int64_t>& found, const Made<bool>& several) {
  Ids known;
  for (std::size_t from = 0, to; from < ids.size(); from = to) {
    for (to = from + 1; to < ids.size() && trace[to] == trace[from]; to++) {
    }
    known.clear(to - from);
    for (std::size_t row = from; row < to; row++) known.add(ids[row], static_cast<std::uint32_t>(row - from));
    for (std::size_t row = from; row < to; row++) {
      bool is_twice;
      const std::uint32_t first = known.find(wanted[row], is_twice);
      found.set(row, first == Ids::NONE ? -1 : static_cast<std::int64_t>(from + first));
      several.set(row, is_twice);
    }
  }
}

}  // namespace tracekit
