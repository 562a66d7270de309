// Texts that repeat, as resources do from span to span: what was read before is compared, not read.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "json.h"

namespace tracekit {

class Recent {
 public:
  // The text, where it was first, that some bytes begin with; without a place if none of these does.
  Text find(const Byte* p, const Byte* end) {
    const auto left = static_cast<std::size_t>(end - p);
    for (std::size_t i = 0; i < texts_.size(); i++) {
      const Text one = texts_[i];
      if (!one.length || one.length > left || std::memcmp(p, one.at, one.length)) continue;
      if (i) std::swap(texts_[i], texts_[i - 1]);  // what is found often is found sooner
      return one;
    }
    return {};
  }

  // Keeps a text that was read; one beyond ASCII is read every time, as its record is checked then.
  void add(const Text& text) {
    if (!is_ascii(text.at, text.length)) return;
    texts_[oldest_] = text;
    oldest_ = (oldest_ + 1) % texts_.size();
  }

 private:
  std::array<Text, 16> texts_;
  std::size_t oldest_ = 0;
};

}  // namespace tracekit
