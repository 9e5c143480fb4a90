# find_package(taskscope): taskscope::runtime and taskscope::instrumentation.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/taskscopeTargets.cmake)
