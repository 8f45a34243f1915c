# Turns DIRECTORY/*.yaml into OUTPUT, a C file with one {name, text} a detection, sorted by name.
# The text is written as a list of bytes: no quoting can go wrong, and no limit of string literals applies.
file(GLOB files "${DIRECTORY}/*.yaml")
list(SORT files)
set(arrays "")
set(table "")
set(index 0)
foreach(path IN LISTS files)
  get_filename_component(name "${path}" NAME_WE)
  file(READ "${path}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  # 20 bytes a line, 5 characters each.
  string(REPEAT "....." 20 line)
  string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
  string(APPEND arrays "static const unsigned char text_${index}[] = {\n    ${bytes}0};\n")
  string(APPEND table "    {\"${name}\", (const char *)text_${index}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}.new"
  "// Written by config/detections/embed.cmake; do not edit.\n#include \"config/detections.h\"\n\n${arrays}\n"
  "const struct leat_detection_text leat_detection_texts[] = {\n${table}    {0, 0},\n};\n"
  "const size_t leat_detection_text_count = ${index};\n")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
