// Distinct byte strings and their codes, in order of arrival.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "json.h"

namespace tracekit {

extern std::uint64_t hash_seed;  // random: nobody can write attributes that collide

inline std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
#ifdef __SIZEOF_INT128__
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
  const std::uint64_t low = a * b, high = (a >> 32) * (b >> 32) + ((a & 0xFFFFFFFFu) * (b >> 32) >> 32);
  const std::uint64_t sum = low ^ (high + (a >> 29)) * 0x9E3779B97F4A7C15u;
  return sum ^ sum >> 31;
#endif
}

inline std::uint64_t eight(const Byte* p) {
  std::uint64_t value;
  std::memcpy(&value, p, 8);
  return value;
}

inline std::uint64_t four(const Byte* p) {
  std::uint32_t value;
  std::memcpy(&value, p, 4);
  return value;
}

inline std::uint64_t hashed(const Byte* p, std::size_t size) {
  std::uint64_t h = hash_seed ^ size * 0x9E3779B97F4A7C15u;
  for (; size >= 16; p += 16, size -= 16) h = mixed(eight(p) ^ h, eight(p + 8) ^ 0xE7037ED1A0B428DBu);
  std::uint64_t a = 0, b = 0;
  if (size >= 8) {
    a = eight(p);
    b = eight(p + size - 8);
  } else if (size >= 4) {
    a = four(p);
    b = four(p + size - 4);
  } else if (size) {
    a = static_cast<std::uint64_t>(p[0]) << 16 | static_cast<std::uint64_t>(p[size / 2]) << 8 | p[size - 1];
  }
  return mixed(a ^ h ^ 0xA0761D6478BD642Fu, b ^ h ^ 0xE7037ED1A0B428DBu);
}

// Where the bytes of a string are kept: in the input itself (they are not copied), or in blocks that never move.
class Arena {
 public:
  const Byte* keep(const Byte* p, std::size_t size) {
    if (size > left_) {
      const std::size_t room = size > BLOCK ? size : BLOCK;
      blocks_.emplace_back(new Byte[room]);  // not touched before it is used
      at_ = blocks_.back().get();
      left_ = room;
    }
    Byte* const kept = at_;
    if (size) std::memcpy(kept, p, size);
    at_ += size;
    left_ -= size;
    return kept;
  }

 private:
  static constexpr std::size_t BLOCK = 1 << 20;
  std::vector<std::unique_ptr<Byte[]>> blocks_;
  Byte* at_ = nullptr;
  std::size_t left_ = 0;
};

// An attribute as it is written: its value, and the number of the shape around it (shapes.h), or all of it.
struct Attribute {
  const Byte* at = nullptr;
  std::uint32_t length = 0;
  std::int32_t shape = WHOLE;

  static constexpr std::int32_t WHOLE = -1;

  Attribute() = default;
  Attribute(const Byte* value, std::uint32_t size, std::int32_t number) : at(value), length(size), shape(number) {}
  Attribute(const Text& whole) : at(whole.at), length(whole.length) {}
};

inline bool is_like(const Text&, const Text&) { return true; }
inline bool is_like(const Attribute& a, const Attribute& b) { return a.shape == b.shape; }

inline std::uint64_t hashed(const Text& text) { return hashed(text.at, text.length); }

// What a shape adds to the hash of a value, and what is to be added for another shape.
inline std::uint64_t salt(std::int32_t shape) { return static_cast<std::uint64_t>(shape + 1) * 0x9E3779B97F4A7C15u; }
inline std::uint64_t hashed(const Attribute& one) { return hashed(one.at, one.length) ^ salt(one.shape); }

template <class Key> class Table {
 public:
  explicit Table(std::size_t slots = 1024, Arena* arena = nullptr) : slots_(slots), arena_(arena) {}

  std::int32_t code(const Key& key) { return code(key, hashed(key)); }

  std::int32_t code(const Key& key, std::uint64_t hash) {
    const std::uint32_t tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t at = hash & (slots_.size() - 1);
    for (;; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.code < 0) break;
      if (slot.tag != tag) continue;
      const Key& known = found[static_cast<std::size_t>(slot.code)];
      if (known.length == key.length && is_like(known, key) && equal(known.at, key.at, key.length)) return slot.code;
    }
    const std::int32_t fresh = static_cast<std::int32_t>(found.size());
    found.push_back(key);
    if (arena_) found.back().at = arena_->keep(key.at, key.length);
    hashes.push_back(hash);
    slots_[at] = {tag, fresh};
    if (found.size() * 2 > slots_.size()) grow();
    return fresh;
  }

  // Lets the processor fetch the slot of a string that is asked for soon, then its bytes.
  void expect(std::uint64_t hash) const { fetch(&slots_[hash & (slots_.size() - 1)]); }
  void expect_bytes(std::uint64_t hash) const {
    const std::int32_t code = slots_[hash & (slots_.size() - 1)].code;
    if (code >= 0) fetch(found[static_cast<std::size_t>(code)].at);
  }

  std::vector<Key> found;  // by code
  std::vector<std::uint64_t> hashes;

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t code = -1;
  };

  static void fetch(const void* place) {
#if defined(__GNUC__)
    __builtin_prefetch(place);
#else
    static_cast<void>(place);
#endif
  }

  void grow() {
    std::vector<Slot> larger(slots_.size() * 2);
    for (std::size_t i = 0; i < found.size(); i++) {
      std::size_t at = hashes[i] & (larger.size() - 1);
      while (larger[at].code >= 0) at = (at + 1) & (larger.size() - 1);
      larger[at] = {static_cast<std::uint32_t>(hashes[i] >> 32), static_cast<std::int32_t>(i)};
    }
    slots_.swap(larger);
  }

  std::vector<Slot> slots_;  // a power of two
  Arena* const arena_;
};

using Interner = Table<Text>;

}  // namespace tracekit
