#include "taskscope/protocol/stream_reader.h"

#include <algorithm>
#include <cstring>

namespace taskscope::protocol {

char* StreamReader::prepare(std::size_t bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < bytes) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (buffer_.size() - end_ < bytes)
      buffer_.resize(std::max(end_ + bytes, buffer_.size() + buffer_.size() / 2));
  }
  return buffer_.data() + end_;
}

void StreamReader::commit(std::size_t bytes) { end_ += bytes; }

void StreamReader::feed(BytesView bytes) {
  if (bytes.empty()) return;
  std::memcpy(prepare(bytes.size()), bytes.data(), bytes.size());
  commit(bytes.size());
}

void StreamReader::skip(std::size_t bytes) {
  if (!in_damage_) {
    if (damaged_places_++ == 0) damage_from_ticks_ = last_ticks_;
    in_damage_ = true;
  }
  damaged_bytes_ += bytes;
  begin_ += bytes;
}

std::optional<ChunkView> StreamReader::next() {
  while (begin_ != end_) {
    const BytesView bytes(buffer_.data() + begin_, end_ - begin_);
    auto chunk = parse_chunk(bytes);
    if (chunk) {
      begin_ += chunk->bytes.size();
      if (chunk->header.first_ticks != 0) {
        if (in_damage_) damage_to_ticks_ = chunk->header.first_ticks;
        last_ticks_ = chunk->header.last_ticks;
      }
      in_damage_ = false;
      return *chunk;
    }
    if (chunk.error().code == ErrorCode::Truncated && !ended_) return std::nullopt;
    skip(find_magic(bytes, 1));  // on to where a chunk may begin
  }
  return std::nullopt;
}

std::optional<Loss> StreamReader::take_loss() {
  if (damaged_places_ == 0) return std::nullopt;
  Loss loss;
  loss.cause = LossCause::Damaged;
  loss.chunks = damaged_places_;
  loss.from_ticks = damage_from_ticks_;
  loss.to_ticks = damage_to_ticks_;
  damaged_places_ = 0;
  damage_to_ticks_ = 0;
  return loss;
}

}  // namespace taskscope::protocol
