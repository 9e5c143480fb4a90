#include "taskscope/instrumentation/code_map.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace taskscope::instrumentation {

namespace {

constexpr std::size_t kMaxModules = 4096;
constexpr std::size_t kMaxMapsBytes = 16u << 20;
constexpr std::size_t kMaxHeaders = 64;
constexpr std::size_t kMaxNoteBytes = 4096;

struct Mapping {
  std::uint64_t begin = 0, end = 0, offset = 0;
  bool is_code = false;
  std::string_view path;
};

std::string read_maps() {
  std::string text;
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  while (text.size() < kMaxMapsBytes) {
    const std::size_t before = text.size();
    text.resize(before + (64u << 10));
    const ssize_t got = read(fd, text.data() + before, text.size() - before);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got <= 0) break;
  }
  close(fd);
  return text;
}

/// "begin-end rwxp offset device inode   path"
std::optional<Mapping> parse_mapping(std::string_view line) {
  Mapping mapping;
  const char* at = line.data();
  const char* const end = at + line.size();
  const auto number = [&](std::uint64_t& to, char behind) {
    const auto [stop, error] = std::from_chars(at, end, to, 16);
    if (error != std::errc() || stop == end || *stop != behind) return false;
    at = stop + 1;
    return true;
  };
  if (!number(mapping.begin, '-') || !number(mapping.end, ' ') || end - at < 5) return std::nullopt;
  mapping.is_code = at[2] == 'x';
  at += 5;
  if (!number(mapping.offset, ' ')) return std::nullopt;
  const auto rest = std::string_view(at, static_cast<std::size_t>(end - at));
  const auto path = rest.find_first_of("/[");
  if (path != std::string_view::npos) mapping.path = rest.substr(path);
  return mapping;
}

std::string hex(const unsigned char* bytes, std::size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::string build_id_of(OwnMemory& memory, std::uint64_t notes, std::size_t bytes) {
  bytes = std::min(bytes, kMaxNoteBytes);
  std::vector<unsigned char> data(bytes);
  if (!memory.read(notes, data.data(), bytes)) return {};
  const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
  for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
    ElfW(Nhdr) note;
    std::memcpy(&note, data.data() + at, sizeof note);
    at += sizeof note;
    if (note.n_namesz > bytes - at) break;
    const std::size_t content = at + padded(note.n_namesz);
    if (content > bytes || note.n_descsz > bytes - content) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(data.data() + at, "GNU", 4) == 0)
      return hex(data.data() + content, std::min<std::size_t>(note.n_descsz, 64));
    at = content + padded(note.n_descsz);
  }
  return {};
}

/// What the headers at the start of a mapped file say.
std::optional<CodeMap::Image> read_image(OwnMemory& memory, std::uint64_t start) {
  ElfW(Ehdr) header;
  if (!memory.read(start, &header, sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof(ElfW(Phdr)) || header.e_phnum > kMaxHeaders)
    return std::nullopt;
  std::vector<ElfW(Phdr)> segments(header.e_phnum);
  if (!memory.read(start + header.e_phoff, segments.data(), segments.size() * sizeof(ElfW(Phdr))))
    return std::nullopt;
  CodeMap::Image image;
  bool has_bias = false;
  for (const auto& segment : segments) {
    if (segment.p_type != PT_LOAD) continue;
    if (!has_bias) image.module.bias = start - (segment.p_vaddr - segment.p_offset);
    has_bias = true;
    if ((segment.p_flags & PF_X) == 0) continue;
    const std::uint64_t begin = image.module.bias + segment.p_vaddr;
    if (image.module.end == 0 || begin < image.module.begin) image.module.begin = begin;
    image.module.end = std::max<std::uint64_t>(image.module.end, begin + segment.p_memsz);
  }
  if (image.module.end == 0) return std::nullopt;
  for (const auto& segment : segments) {
    const std::uint64_t at = image.module.bias + segment.p_vaddr;
    if (segment.p_type == PT_GNU_EH_FRAME) image.eh_frame_hdr = at;
    if (segment.p_type == PT_NOTE && image.module.build_id.empty())
      image.module.build_id = build_id_of(memory, at, segment.p_memsz);
  }
  return image;
}

}  // namespace

void CodeMap::refresh(OwnMemory& memory) {
  const std::string text = read_maps();
  std::vector<Mapping> mappings;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (const auto mapping = parse_mapping(std::string_view(text).substr(at, end - at)))
      mappings.push_back(*mapping);
    at = end + 1;
  }
  std::vector<Image> images;
  for (const Mapping& mapping : mappings) {
    if (mapping.offset != 0 || mapping.path.empty()) continue;
    if (mapping.path.front() == '[' && mapping.path != "[vdso]") continue;
    auto image = read_image(memory, mapping.begin);
    if (!image) continue;
    // Mapped to be read is not mapped to be run.
    const bool is_code = std::any_of(mappings.begin(), mappings.end(), [&](const Mapping& other) {
      return other.is_code && other.path == mapping.path && other.begin < image->module.end &&
             image->module.begin < other.end;
    });
    if (!is_code) continue;
    image->module.path = mapping.path;
    const auto known = std::find_if(all_.rbegin(), all_.rend(), [&](const auto& module) {
      return module.begin == image->module.begin && module.path == image->module.path &&
             module.build_id == image->module.build_id;
    });
    if (known != all_.rend()) {
      image->module.id = known->id;
    } else if (all_.size() < kMaxModules) {
      image->module.id = static_cast<std::uint32_t>(all_.size() + 1);
      all_.push_back(image->module);
    }
    images.push_back(std::move(*image));
  }
  std::sort(images.begin(), images.end(),
            [](const Image& a, const Image& b) { return a.module.begin < b.module.begin; });
  images_ = std::move(images);
}

const CodeMap::Image* CodeMap::find(std::uint64_t address) const noexcept {
  const auto behind = std::upper_bound(
      images_.begin(), images_.end(), address,
      [](std::uint64_t value, const Image& image) { return value < image.module.begin; });
  if (behind == images_.begin()) return nullptr;
  const Image& image = *(behind - 1);
  return address < image.module.end ? &image : nullptr;
}

std::vector<protocol::Module> CodeMap::take_new() {
  std::vector<protocol::Module> fresh(all_.begin() + static_cast<std::ptrdiff_t>(taken_),
                                      all_.end());
  taken_ = all_.size();
  return fresh;
}

}  // namespace taskscope::instrumentation
