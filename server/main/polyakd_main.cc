#include <variant>

#include "server/main/options.h"
#include "server/main/rebuild.h"
#include "server/main/server.h"

int main(int argument_count, char** arguments) {
  namespace server = polyak::server;
  server::BlockSignals();
  const server::ServerCommand command = server::ParseCommandLine(argument_count, arguments);
  if (const auto* exit = std::get_if<server::ExitCommand>(&command)) {
    return exit->exit_code;
  }
  if (const auto* health = std::get_if<server::HealthCheckCommand>(&command)) {
    return server::CheckHealth(health->server);
  }
  if (const auto* rebuild = std::get_if<server::RebuildCommand>(&command)) {
    return server::Rebuild(*rebuild);
  }
  return server::Serve(std::get<server::ServeCommand>(command).options);
}
