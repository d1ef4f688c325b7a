# Rooms: one folder, one library, one list of what it may include.
#
#   polyak_room(server/engine/theory DEPENDS server/engine/linalg LINKS Eigen3::Eigen)
#
# makes the library polyak_server_engine_theory from every source in that folder (not below it), linked
# with the libraries of the rooms named after DEPENDS and the packages named after LINKS, and nothing else.
# tests/rules/includes_test reads the same calls and checks every #include against them.
# Unit tests of the room, tests/unit/<room>/*_test.cc, become one program <library>_test.

function(polyak_room path)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LINKS" ${ARGN})
  string(REPLACE "/" "_" name "polyak_${path}")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${path}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_main\\.cc$")
  set(libraries ${ROOM_LINKS})
  foreach(dependency IN LISTS ROOM_DEPENDS)
    string(REPLACE "/" "_" library "polyak_${dependency}")
    list(APPEND libraries ${library})
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC polyak_options ${libraries})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE polyak_options ${libraries})
  endif()
  if(NOT BUILD_TESTING)
    return()
  endif()
  file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${path}/*_test.cc)
  if(tests)
    polyak_test(${name}_test LABEL unit SOURCES ${tests} LIBRARIES ${name} polyak_tests_support)
  endif()
endfunction()

# polyak_test(NAME LABEL unit SOURCES a_test.cc LIBRARIES ...): a GoogleTest program, registered with ctest.
function(polyak_test name)
  cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  if(POLYAK_SANITIZERS)  # several times slower
    math(EXPR TEST_TIMEOUT "4 * ${TEST_TIMEOUT}")
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} rapidcheck GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
    ENVIRONMENT "POLYAK_BINARY_DIR=$<TARGET_FILE_DIR:${name}>;POLYAK_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
endfunction()
