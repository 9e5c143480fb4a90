/// Threads of our own inside a program that is not ours.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace taskscope::instrumentation {

/// Starts a thread that no signal is delivered to. Not joinable where the system has no more.
/// If `body` throws (there is no memory), the instrumentation switches off and the program goes on.
std::thread start_thread(const char* name, std::function<void()> body);

/// A file of /proc/self/task/TID, at most 4 KiB of it; empty when there is nothing to read.
std::string read_thread_file(std::int32_t tid, const char* name);

}  // namespace taskscope::instrumentation
