# Makes a C++ source with the text of a file:
#   cmake -DINPUT=data/wine_data.csv -DOUTPUT=wine.cc -DNAME=kWineText -P cmake/embed.cmake
# The text becomes polyak::engine::<NAME>, a std::string_view.
file(READ ${INPUT} text)
file(WRITE ${OUTPUT} "#include <string_view>\n\nnamespace polyak::engine {\n"
  "extern const std::string_view ${NAME};\nconst std::string_view ${NAME} = R\"csv(${text})csv\";\n}\n")
