#pragma once

#include "polyak/v1/problem.pb.h"
#include "server/engine/problems/registry.h"
#include "server/spec/limits.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// One function a problem class; each in its own file. With violations the result is not to be used.
engine::QuadraticSpec ParseQuadratic(const v1::QuadraticProblem& message, const Limits& limits,
                                     Violations& violations);
engine::ReluNetworkSpec ParseReluNetwork(const v1::ReluNetworkProblem& message,
                                         const Limits& limits, Violations& violations);
engine::DeepLinearNetworkSpec ParseDeepLinearNetwork(const v1::DeepLinearNetworkProblem& message,
                                                     const Limits& limits, Violations& violations);

}  // namespace polyak::spec
