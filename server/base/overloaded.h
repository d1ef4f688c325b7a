#pragma once

namespace polyak::base {

// A visitor for std::visit, made of one lambda an alternative.
template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace polyak::base
