// Reads protobuf's wire format field by field.  Whatever is not exactly as it should be throws Odd, as in json.h.
#pragma once

#include <cstdint>

#include "json.h"

namespace tracekit {

class Wire {
 public:
  enum Type : unsigned { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

  explicit Wire(const Text& message) : p(message.at), end(message.at + message.length) {}
  Wire(const Byte* from, const Byte* to) : p(from), end(to) {}

  const Byte* p;
  const Byte* const end;
  std::uint32_t number = 0;  // of the field
  unsigned type = 0;
  std::uint64_t value = 0;  // of a number
  Text text;                // of bytes, a string or a message

  bool is(std::uint32_t wanted, Type of) const { return number == wanted && type == of; }

  // Moves to the next field; false at the end of the message.
  bool next() {
    if (p == end) return false;
    const std::uint64_t tag = varint();
    if (tag > 0xFFFFFFFFu || tag < 8) odd();
    number = static_cast<std::uint32_t>(tag >> 3);
    type = tag & 7;
    switch (type) {
      case VARINT: value = varint(); break;
      case FIXED64: value = fixed(8); break;
      case FIXED32: value = fixed(4); break;
      case LENGTH: {
        const std::uint64_t length = varint();
        if (length > static_cast<std::size_t>(end - p) || length > 0x7FFFFFFF) odd();
        text = {p, static_cast<std::uint32_t>(length), false};
        p += length;
        break;
      }
      default: odd();
    }
    return true;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t found = 0;
    for (int shift = 0; shift < 63 && p < end; shift += 7) {
      const Byte byte = *p++;
      found |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return found;
    }
    if (p == end || *p > 1) odd();  // the tenth byte has one bit
    return found | static_cast<std::uint64_t>(*p++) << 63;
  }

  std::uint64_t fixed(int size) {
    if (end - p < size) odd();
    std::uint64_t found = 0;
    for (int i = 0; i < size; i++) found |= static_cast<std::uint64_t>(p[i]) << 8 * i;
    p += size;
    return found;
  }
};

}  // namespace tracekit
