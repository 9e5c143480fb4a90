# find_package(taskscope): taskscope::runtime and taskscope::instrumentation.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Protobuf)  # of protocol, which instrumentation links
include(${CMAKE_CURRENT_LIST_DIR}/taskscopeTargets.cmake)
