/// Threads of our own inside a program that is not ours.
#pragma once

#include <functional>
#include <thread>

namespace taskscope::instrumentation {

/// Starts a thread that no signal is delivered to. Not joinable where the system has no more.
/// If `body` throws (there is no memory), the instrumentation switches off and the program goes on.
std::thread start_thread(const char* name, std::function<void()> body);

}  // namespace taskscope::instrumentation
