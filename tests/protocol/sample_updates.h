/// Updates to test with: one filled in of each kind, random ones, and a stream as a busy worker
/// makes it.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/update.h"

namespace taskscope::protocol::test {

/// One of every kind, every field different from its default.
std::vector<Update> one_of_each();

/// Any values in any fields; text references are valid.
Events random_events(std::uint64_t seed, std::size_t count);
Snapshot random_snapshot(std::uint64_t seed, std::size_t tasks);

/// What a worker of a server under load records: `polls` polls of 500 connections, each with a
/// wake, a pending end and its wait. The same for the same arguments.
Events server_stream(std::size_t polls);

/// Equality of whole updates, member by member.
bool same(const Update& a, const Update& b);

}  // namespace taskscope::protocol::test
