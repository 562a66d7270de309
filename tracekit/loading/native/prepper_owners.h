// Resources and scopes of span documents of OpenSearch, written as OTLP has them, each distinct one once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "interner.h"
#include "json.h"
#include "members.h"
#include "prepper_names.h"

namespace tracekit {

// The members of a document that belong to its resource, or to its scope, as they are written.
class OwnMembers {
 public:
  struct Run {  // of members, one behind the other
    const Byte *from, *end;
    Text known;     // a text that was read before, and is the end of these bytes, or all of them
    bool is_fresh;  // whether each has a point in its name, and was read, not compared
  };

  std::vector<Run> runs;

  // Adds some that begin behind the quote of their name.
  void add(const Byte* from, const Byte* end, const Text& known = {}) { runs.push_back({from, end, known, false}); }

  // Adds one that was read, with a point in its name.
  void add_fresh(const Byte* from, const Byte* end) {
    if (!runs.empty() && runs.back().is_fresh && is_behind(runs.back().end, from - 1)) {
      runs.back().end = end;
    } else {
      runs.push_back({from, end, {}, true});
    }
  }

  // What is the same only for the same members: those with a known text are found by its place.
  void put_key(std::vector<Byte>& key) const {
    constexpr Byte PLACE = 1;  // not in JSON
    for (const Run& run : runs) {
      key.push_back('"');
      key.insert(key.end(), run.from, run.end - run.known.length);
      key.push_back(run.known.at ? PLACE : Byte{','});
      const auto* const place = reinterpret_cast<const Byte*>(&run.known.at);
      if (run.known.at) key.insert(key.end(), place, place + sizeof run.known.at);
    }
  }

  // The members as those of an object, each with a comma.
  void put_text(std::vector<Byte>& text) const {
    for (const Run& run : runs) {
      text.push_back('"');
      text.insert(text.end(), run.from, run.end);
      text.push_back(',');
    }
  }

 private:
  // Whether there is only a comma between two members.
  static bool is_behind(const Byte* p, const Byte* end) {
    if (p >= end || *p++ != ',') return false;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p == end;
  }
};

class PrepperOwners {
 public:
  Text resource(const OwnMembers& members) {
    return written(resources_, members, [&](Reader& r) { write_resource(r); });
  }

  Text scope(const OwnMembers& members) {
    return written(scopes_, members, [&](Reader& r) { write_scope(r); });
  }

 private:
  static constexpr std::size_t MANY = 128;  // members of an object, compared pair by pair

  // What was written of some members: without a place where they are odd.
  struct Known {
    Interner keys;
    std::vector<Text> texts;
  };

  // Members of an object, as they will be written.
  struct Fields {
    std::vector<Byte> text;                                 // "name":value, one after the other, each with a comma
    std::vector<std::pair<std::size_t, std::size_t>> names;  // where the names are, and how long

    void clear() {
      text.clear();
      names.clear();
    }
    bool has(const Byte* name, std::size_t length) const {
      for (const auto& [at, size] : names)
        if (size == length && equal(text.data() + at, name, length)) return true;
      return false;
    }
  };

  // The name of a service among the attributes of a resource: the last value at the place of the first.
  struct Service {
    bool is_there = false, is_attribute = false;
    std::size_t at = 0;
    Text value;
  };

  template <class Write> Text written(Known& known, const OwnMembers& members, Write write) {
    key_.clear();
    members.put_key(key_);
    const auto number = static_cast<std::size_t>(known.keys.code(whole(key_)));
    if (number == known.texts.size()) {
      known.texts.emplace_back();
      members_.clear();
      text_.clear();
      members.put_text(members_);
      const Text all = whole(members_);
      Reader r(all.at, all.at + all.length, false);
      write(r);
      Text text = whole(text_);
      text.at = arena_.keep(text.at, text.length);
      known.texts.back() = text;
    }
    if (!known.texts[number].at) odd();
    return known.texts[number];
  }

  static Text whole(const std::vector<Byte>& bytes) {
    if (bytes.size() > 0x7FFFFFFF) odd();
    return {bytes.data(), static_cast<std::uint32_t>(bytes.size()), false};
  }

  template <class Take> static void each_member(Reader& r, Take take) {
    while (r.p < r.end) {
      take(r.key());
      r.want(',');
    }
  }

  // ------------------------------------------------------------------ scopes

  void write_scope(Reader& r) {
    static constexpr Member prefixes[] = {member("scope."), member("instrumentationScope."),
                                          member("instrumentationLibrary.")};
    scope_.clear();
    each_member(r, [&](const Text& name) {
      Text rest;
      for (const Member& prefix : prefixes)
        if (!rest.at) rest = behind(name, prefix);
      if (rest.at) add(r, scope_, rest);
      else nested(r, scope_);
    });
    put("{");
    put(scope_.text);
    close();
  }

  // ------------------------------------------------------------------ resources

  void write_resource(Reader& r) {
    for (Fields* one : {&resource_, &dotted_, &nested_}) one->clear();
    dotted_service_ = nested_service_ = Service();
    each_member(r, [&](const Text& name) {
      if (name.is("serviceName")) service_name(r);
      else if (name.is("resource")) resource_object(r);
      else if (name.is("resource.attributes")) nested(r, dotted_);
      else if (const Text key = behind(name, member("resource.attributes.")); key.at) add(r, dotted_, key, true);
      else add(r, resource_, behind(name, member("resource.")));
    });
    finish_resource();
  }

  void service_name(Reader& r) {
    if (dotted_service_.is_there) r.skip(1);
    else dotted_service_ = {true, false, dotted_.text.size(), r.raw(1)};
  }

  void resource_object(Reader& r) {
    object(r, [&](const Text& key) {
      if (key.is("attributes")) nested(r, nested_);
      else add(r, resource_, key);
    });
  }

  void finish_resource() {
    for (const auto& [at, size] : nested_.names)
      if (dotted_.has(nested_.text.data() + at, size)) odd();
    if (nested_service_.is_there && dotted_service_.is_there) {  // the place of one, and the value of the other
      dotted_service_.value = nested_service_.value;
      nested_service_.is_there = false;
    }
    put("{");
    put(resource_.text);
    put("\"attributes\":{");
    put_attributes(dotted_, dotted_service_);
    put_attributes(nested_, nested_service_);
    close();
    put("}");
  }

  // Attributes with the name of the service among them.
  void put_attributes(const Fields& fields, const Service& service) {
    const auto begin = fields.text.begin();
    const auto middle = service.is_there ? begin + static_cast<std::ptrdiff_t>(service.at) : begin;
    text_.insert(text_.end(), begin, middle);
    if (service.is_there) {
      put("\"service.name\":");
      text_.insert(text_.end(), service.value.at, service.value.at + service.value.length);
      text_.push_back(',');
    }
    text_.insert(text_.end(), middle, fields.text.end());
  }

  // ------------------------------------------------------------------ members

  void nested(Reader& r, Fields& to) {
    object(r, [&](const Text& key) { add(r, to, key); });
  }

  // Adds a member with its value, at which the reader is; ``has_points``: its name has "@" where there were points.
  void add(Reader& r, Fields& to, const Text& name, bool has_points = false) {
    if ((&to == &dotted_ || &to == &nested_) && is_service(name, has_points)) {
      Service& service = &to == &dotted_ ? dotted_service_ : nested_service_;
      if (service.is_attribute) odd();
      const std::size_t at = service.is_there ? service.at : to.text.size();
      service = {true, true, at, r.raw(3)};
      return;
    }
    r.skip(3);
    std::vector<Byte>& text = to.text;
    const std::size_t at = text.size() + 1;
    text.push_back('"');
    text.insert(text.end(), name.at, r.p);
    if (has_points) std::replace(text.data() + at, text.data() + at + name.length, Byte{'@'}, Byte{'.'});
    text.push_back(',');
    if (to.names.size() == MANY || to.has(text.data() + at, name.length)) odd();
    to.names.emplace_back(at, name.length);
  }

  static bool is_service(const Text& name, bool has_points) {
    return name.is("service.name") || (has_points && name.is("service@name"));
  }

  // Ends an object, of which the last member has a comma.
  void close() {
    if (text_.back() == ',') text_.pop_back();
    put("}");
  }

  void put(const std::vector<Byte>& more) { text_.insert(text_.end(), more.begin(), more.end()); }
  void put(const char* more) { text_.insert(text_.end(), more, more + std::strlen(more)); }

  Arena arena_;
  Known resources_{Interner(64, &arena_), {}}, scopes_{Interner(64, &arena_), {}};
  std::vector<Byte> key_, members_, text_;  // of the present one
  Fields resource_, dotted_, nested_, scope_;
  Service dotted_service_, nested_service_;
};

}  // namespace tracekit
