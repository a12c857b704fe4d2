/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/toml.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sstream>
#include <string>
#include <toml++/toml.h>
#include <unistd.h>
#include <vector>

namespace {

struct flat {
  std::string key, text;
  toml_kind kind;
  bool in_array;
  unsigned line, column;
};

flat scalar(const std::string &key, const toml::node &node, bool in_array)
{
  flat f{key, "", TOML_OTHER, in_array, node.source().begin.line, node.source().begin.column};
  std::ostringstream out;
  if (auto s = node.as_string()) {
    f.kind = s->get().find('\0') == std::string::npos ? TOML_STRING : TOML_OTHER; /* no option can hold a NUL */
    out << s->get();
  } else if (auto i = node.as_integer()) {
    f.kind = TOML_INTEGER;
    out << i->get();
  } else if (auto d = node.as_floating_point()) {
    f.kind = TOML_FLOAT;
    out << d->get();
  } else if (auto b = node.as_boolean()) {
    f.kind = TOML_BOOL;
    out << (b->get() ? "true" : "false");
  } else {
    out << "a date or time";
  }
  f.text = out.str();
  return f;
}

void walk(const std::string &key, const toml::node &node, bool in_array, std::vector<flat> &out)
{
  if (auto table = node.as_table()) {
    for (auto &&[name, child] : *table)
      walk(key.empty() ? std::string(name.str()) : key + "." + std::string(name.str()), child, in_array, out);
  } else if (auto array = node.as_array()) {
    if (array->empty())
      out.push_back({key, "", TOML_EMPTY_ARRAY, true, node.source().begin.line, node.source().begin.column});
    for (auto &&child : *array)
      walk(key, child, true, out);
  } else {
    out.push_back(scalar(key, node, in_array));
  }
}

int export_list(const std::vector<flat> &flats, toml_list *ret_list)
{
  auto *v = static_cast<toml_value *>(calloc(flats.size() + 1, sizeof(toml_value)));
  if (!v)
    return -ENOMEM;
  toml_list list{v, flats.size()};
  for (size_t i = 0; i < flats.size(); i++) {
    const flat &f = flats[i];
    v[i] = {strdup(f.key.c_str()), strdup(f.text.c_str()), f.kind, f.in_array, f.line, f.column};
    if (!v[i].key || !v[i].text) {
      toml_list_free(&list);
      return -ENOMEM;
    }
  }
  *ret_list = list;
  return 0;
}

/* Larger files are a mistake (a key, an image). */
constexpr size_t CONFIG_BYTES_MAX = 1 << 20;

int read_all(int fd, std::string &out)
{
  char piece[8192];
  for (;;) {
    ssize_t n = read(fd, piece, sizeof piece);
    if (n == 0)
      return 0;
    if (n < 0 && errno != EINTR)
      return -errno;
    if (n > 0)
      out.append(piece, size_t(n));
    if (out.size() > CONFIG_BYTES_MAX)
      return -EFBIG;
  }
}

int read_path(const char *path, std::string &out)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  int rc = read_all(fd, out);
  close(fd);
  return rc;
}

/* What would be right, for the mistakes that are made most. */
const char *advice(const std::string &what)
{
  static const struct {
    const char *piece, *advice;
  } rows[] = {
      {"cannot redefine", "; a key and a section may be given once: join the two"},
      {"could not determine value type", "; a text needs quotes around it"},
      {"unescaped control characters", "; is the closing quote missing?"},
  };
  for (const auto &row : rows) {
    if (what.find(row.piece) != std::string::npos)
      return row.advice;
  }
  return "";
}

int parse(const char *path, const std::string &text, toml_list *ret_list, err *ret_err)
{
  try {
    toml::table table = toml::parse(std::string_view(text), std::string_view(path));
    std::vector<flat> flats;
    walk("", table, false, flats);
    std::stable_sort(flats.begin(), flats.end(), [](const flat &a, const flat &b) {
      return a.line != b.line ? a.line < b.line : a.column < b.column;
    });
    return export_list(flats, ret_list) < 0 ? err_set(ret_err, -ENOMEM, "out of memory") : 0;
  } catch (const toml::parse_error &e) {
    std::string what(e.description());
    return err_set(ret_err, -EINVAL, "%s:%u:%u: %s%s", path, unsigned(e.source().begin.line),
                   unsigned(e.source().begin.column), what.c_str(), advice(what));
  }
}

} // namespace

int toml_read(const char *path, toml_list *ret_list, err *ret_err)
{
  try {
    std::string text;
    int rc = read_path(path, text);
    if (rc < 0)
      return err_set(ret_err, rc, "%s: cannot be read: %s", path, strerror(-rc));
    return parse(path, text, ret_list, ret_err);
  } catch (const std::bad_alloc &) {
    return err_set(ret_err, -ENOMEM, "out of memory");
  } catch (const std::exception &e) {
    return err_set(ret_err, -ENOMEM, "%s: %s", path, e.what());
  }
}

void toml_list_free(toml_list *list)
{
  for (size_t i = 0; i < list->n; i++) {
    free(list->v[i].key);
    free(list->v[i].text);
  }
  free(list->v);
  *list = {nullptr, 0};
}
