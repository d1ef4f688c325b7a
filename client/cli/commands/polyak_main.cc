#include "client/cli/commands/app.h"

int main(int argument_count, char** arguments) {
  return polyak::cli::Run(argument_count, arguments);
}
