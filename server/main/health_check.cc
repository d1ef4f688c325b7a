#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "server/main/server.h"

namespace polyak::server {
namespace {

// grpc.health.v1: an empty request is an empty message; the answer's field 1 is the status, 1 for
// SERVING. The messages are part of gRPC, which keeps their generated classes to itself.
constexpr char kServingAnswer[] = "\x08\x01";

}  // namespace

int CheckHealth(const std::string& server) {
  const auto channel = grpc::CreateChannel(server, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  const grpc::Slice empty("");
  grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) {
    std::cerr << "polyakd healthcheck: " << server << ": " << status.error_message() << "\n";
    return 1;
  }
  std::vector<grpc::Slice> slices;
  std::string answer;
  if (response.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) {
      answer.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  if (answer != kServingAnswer) {
    std::cerr << "polyakd healthcheck: " << server << " is not serving\n";
    return 1;
  }
  return 0;
}

}  // namespace polyak::server
