#include "server/storage/run_signature.h"

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

TEST(Signature, IsTheBeginningOfItsDescription) {
  const std::string signature = Signature({"g++ 1", "x86-64", -7});
  EXPECT_EQ(signature, "g++ 1\nx86-64\n-7\n");
  EXPECT_EQ(SignatureOf(signature + "a job\nof any bytes"), signature);
  EXPECT_EQ(SignatureOf(signature), signature);
  EXPECT_EQ(InOneLine(signature), "'g++ 1 x86-64 -7'");
}

TEST(Signature, WhatHasFewerLinesIsAllOfIt) {
  for (const std::string text : {"", "one", "one\n", "one\ntwo"}) {
    EXPECT_EQ(SignatureOf(text), text);
  }
}

}  // namespace
}  // namespace polyak::storage
