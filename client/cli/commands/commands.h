#pragma once

#include <functional>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/cli/context.h"

namespace polyak::cli {

// What a command does once its flags are parsed.
using Action = std::function<ExitCode()>;

// One row a command: adds itself to the program and returns what it does. The action may use the
// flags it registered; both live as long as the program.
using RegisterCommand = void (*)(CLI::App& program, const Context& context, Action& action);

void RegisterSubmit(CLI::App& program, const Context& context, Action& action);
void RegisterPreview(CLI::App& program, const Context& context, Action& action);
void RegisterRace(CLI::App& program, const Context& context, Action& action);
void RegisterWatch(CLI::App& program, const Context& context, Action& action);
void RegisterWait(CLI::App& program, const Context& context, Action& action);
void RegisterGet(CLI::App& program, const Context& context, Action& action);
void RegisterList(CLI::App& program, const Context& context, Action& action);
void RegisterCancel(CLI::App& program, const Context& context, Action& action);
void RegisterDelete(CLI::App& program, const Context& context, Action& action);
void RegisterPlot(CLI::App& program, const Context& context, Action& action);
void RegisterParameters(CLI::App& program, const Context& context, Action& action);
void RegisterDataset(CLI::App& program, const Context& context, Action& action);
void RegisterInfo(CLI::App& program, const Context& context, Action& action);
void RegisterDemo(CLI::App& program, const Context& context, Action& action);

}  // namespace polyak::cli
