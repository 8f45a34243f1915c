# Cross compiler of Debian 12 for armhf, with a sysroot that `./dev cross` makes (LEAT_SYSROOT names another one).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR arm)

set(leat_triple arm-linux-gnueabihf)
if(DEFINED ENV{LEAT_SYSROOT})
  set(CMAKE_SYSROOT "$ENV{LEAT_SYSROOT}")
else()
  set(CMAKE_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../../.cache/sysroot-armhf")
endif()
get_filename_component(CMAKE_SYSROOT "${CMAKE_SYSROOT}" ABSOLUTE)
set(CMAKE_C_COMPILER ${leat_triple}-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${leat_triple})

set(CMAKE_FIND_ROOT_PATH "${CMAKE_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${CMAKE_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${CMAKE_SYSROOT}/usr/lib/${leat_triple}/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig")

# ctest runs the tests under user emulation; no binfmt registration is needed.
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-arm-static;-L;${CMAKE_SYSROOT}")
