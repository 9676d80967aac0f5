#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/model.h"
#include "ops/workload.h"
#include "shared_folder.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kLayerHeader[] = "name,h,w,ic,oc,kh,kw,stride,pad,groups,mnv1,act\n";
constexpr char kWorkloadHeader[] =
    "op,count,n,h,w,ci,co,kh,kw,stride_h,stride_w,pad_top,pad_left,pad_bottom,pad_right,"
    "dilation_h,dilation_w,depth_multiplier,in_dtype,w_dtype,out_dtype,per_channel,in_zp,w_zp,"
    "out_zp,fused_activation,macs\n";

StatusOr<Network> Read(const std::string& text) {
  const ScratchFolder folder;
  return ReadLayersCsv(folder.Write("table.csv", text));
}

std::string ErrorOf(const std::string& text) {
  const StatusOr<Network> network = Read(text);
  EXPECT_EQ(network.status().code(), StatusCode::kInvalidArgument);
  return Message(network.status());
}

TEST(LayersCsvTest, ReadsALayerList) {
  const StatusOr<Network> network = Read(std::string(kLayerHeader) +
                                         "stem,224,224,3,32,3,3,2,1,1,1,lo\r\n"
                                         "dw,28,28,240,240,5,5,1,2,240,0,lo\n"
                                         "grouped,14,14,64,32,3,3,1,1,4,0,none\n"
                                         "fc,1,1,1024,1000,1,1,1,0,1,1,none\n");
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->name, "table");
  ASSERT_EQ(network->layers.size(), 4U);
  EXPECT_EQ(network->layers[0].name, "stem");
  EXPECT_EQ(Key(network->layers[0].workload),
            "conv2d/i8/n1h224w224c3/o32/k3x3/s2x2/p1,1,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double");
  EXPECT_EQ(Key(network->layers[1].workload),
            "depthwise/i8/n1h28w28c240/m1/k5x5/s1x1/p2,2,2,2/d1x1/pc/wz0/act=lo/rq=step1/double");
  EXPECT_EQ(
      Key(network->layers[2].workload),
      "conv2d/i8/n1h14w14c64/o32/k3x3/s1x1/p1,1,1,1/d1x1/g4/pc/wz0/act=none/rq=signed1/double");
  EXPECT_EQ(Key(network->layers[3].workload),
            "dense/i8/n1c1024/o1000/pc/wz0/act=none/rq=signed1/double");
}

TEST(LayersCsvTest, OptionsSayTypeAndActivationOfAList) {
  const ScratchFolder folder;
  const std::string list = folder.Write("list.csv", std::string(kLayerHeader) +
                                                        "# a comment\n"
                                                        "dw,28,28,240,240,5,5,1,2,240,0,lo\n"
                                                        "fc,1,1,1024,1000,1,1,1,0,1,1,none\n");
  const auto keys_with = [&](const LayerListOptions& options) {
    std::vector<std::string> keys;
    const StatusOr<Network> network = ReadLayersCsv(list, options);
    EXPECT_TRUE(network.ok()) << network.status();
    if (!network.ok()) return keys;
    for (const Layer& layer : network->layers) keys.push_back(Key(layer.workload));
    return keys;
  };
  EXPECT_THAT(
      keys_with({.type = DataType::kU8S8}),
      ElementsAre(
          "depthwise/u8s8/n1h28w28c240/m1/k5x5/s1x1/p2,2,2,2/d1x1/pc/wz0/act=lo/rq=step1/double",
          "dense/u8s8/n1c1024/o1000/pc/wz0/act=none/rq=signed1/double"));
  EXPECT_THAT(
      keys_with({.act = Activation::kNone}),
      ElementsAre(
          "depthwise/i8/n1h28w28c240/m1/k5x5/s1x1/p2,2,2,2/d1x1/pc/wz0/act=none/rq=signed1/double",
          "dense/i8/n1c1024/o1000/pc/wz0/act=none/rq=signed1/double"));

  const std::string table = folder.Write("table.csv", kWorkloadHeader);
  EXPECT_THAT(Message(ReadLayersCsv(table, {.act = Activation::kNone}).status()),
              HasSubstr("say type and activation themselves"));
}

TEST(LayersCsvTest, ReadsAWorkloadTable) {
  const StatusOr<Network> network =
      Read(std::string(kWorkloadHeader) +
           "DEPTHWISE_CONV_2D,2,1,8,8,4,8,3,3,2,2,0,0,1,1,1,1,2,uint8,uint8,uint8,0,0,120,0,"
           "relu6,1152\n"
           "FULLY_CONNECTED,1,3,1,1,64,10,1,1,1,1,0,0,0,0,1,1,,uint8,int8,uint8,1,,,,none,1920\n"
           "CONV_2D,1,1,8,8,4,8,1,1,1,1,0,0,0,0,1,1,,uint8,uint8,uint8,0,0,128,0,none,2048\n");
  ASSERT_TRUE(network.ok()) << network.status();
  ASSERT_EQ(network->layers.size(), 4U);
  EXPECT_EQ(network->layers[0].workload, network->layers[1].workload);
  EXPECT_EQ(Key(network->layers[0].workload),
            "depthwise/u8/n1h8w8c4/m2/k3x3/s2x2/p0,0,1,1/d1x1/pt/wz/act=lo/rq=step1/double");
  EXPECT_EQ(Key(network->layers[2].workload),
            "dense/u8s8/n3c64/o10/pc/wz0/act=none/rq=signed1/double");
  EXPECT_EQ(network->layers[2].name, "fc_64to10");
  EXPECT_EQ(network->layers[3].name, "pw_8x8_4to8");
  EXPECT_FALSE(network->layers[3].workload.weight_zero_point);  // 128: the same as s8
}

TEST(LayersCsvTest, AByteOrderMarkBeforeTheHeaderIsNoPartOfIt) {
  const StatusOr<Network> network =
      Read("\xef\xbb\xbf" + std::string(kLayerHeader) + "a,8,8,3,8,3,3,1,1,1,0,lo\r\n");
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers.at(0).name, "a");
}

TEST(LayersCsvTest, ErrorsNameTheFileTheLineAndTheColumn) {
  const std::string header = kLayerHeader;
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,8,3,3,1,1,1,0,lo\n\nb,8,eight,3,8,3,3,1,1,1,0,lo\n"),
              AllOf(HasSubstr("table.csv: line 4: column w"), HasSubstr("\"eight\"")));
  EXPECT_THAT(ErrorOf(header + "a,8,8,0,8,3,3,1,1,1,0,lo\n"),
              AllOf(HasSubstr("line 2: column ic"), HasSubstr("from 1")));
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,8,3,3,1,-1,1,0,lo\n"), HasSubstr("line 2: column pad"));
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,8,3,3,1,1,1,0,relu\n"),
              AllOf(HasSubstr("line 2: column act"), HasSubstr("none or lo or lohi")));
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,8,3,3,1,1,1,lo\n"),
              HasSubstr("line 2: 11 fields, the header has 12"));
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,8,3,3,1,1,2,0,lo\n"), HasSubstr("groups"));
  EXPECT_THAT(ErrorOf(header + ",8,8,3,8,3,3,1,1,1,0,lo\n"), HasSubstr("column name"));
  EXPECT_THAT(ErrorOf(header + "a,8,8,3,99999999999999999999,3,3,1,1,1,0,lo\n"),
              HasSubstr("column oc"));
}

TEST(LayersCsvTest, RefusesWhatIsNoLayerTable) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("not a layer table"));
  EXPECT_THAT(ErrorOf("peer,layer,threads\n"), HasSubstr("not a layer table"));
  EXPECT_THAT(ErrorOf("name,h,w\n"), HasSubstr("no column ic"));
  EXPECT_THAT(ErrorOf("name,h,h,w\n"), HasSubstr("column h occurs twice"));
  EXPECT_THAT(ErrorOf(kLayerHeader), HasSubstr("no layers"));
  EXPECT_EQ(ReadLayersCsv("/no/such/table.csv").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadLayersCsv("/").status().code(), StatusCode::kInvalidArgument);
}

TEST(LayersCsvTest, RefusesWorkloadsThatContradictThemselves) {
  const std::string header = kWorkloadHeader;
  EXPECT_THAT(ErrorOf(header + "CONV_2D,1,1,8,8,4,8,1,1,1,1,0,0,0,0,1,1,,int8,int8,int8,1,,,,"
                               "none,2049\n"),
              AllOf(HasSubstr("column macs"), HasSubstr("must be 2048")));
  EXPECT_THAT(ErrorOf(header + "DEPTHWISE_CONV_2D,1,1,8,8,4,9,1,1,1,1,0,0,0,0,1,1,2,int8,int8,"
                               "int8,1,,,,none,2048\n"),
              HasSubstr("column co"));
  EXPECT_THAT(ErrorOf(header + "CONV_2D,1,1,8,8,4,8,1,1,1,1,0,0,0,0,1,1,,int8,uint8,int8,1,,,,"
                               "none,2048\n"),
              HasSubstr("column w_dtype"));
}

TEST(LayersCsvTest, ReadsThePeersLayers) {
  const StatusOr<Network> network = ReadLayersCsv(DataPath("layers.csv").string());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers.size(), 62U);
  int dense = 0, depthwise = 0;
  for (const Layer& layer : network->layers) {
    dense += layer.workload.op == OpKind::kDense ? 1 : 0;
    depthwise += layer.workload.op == OpKind::kDepthwise ? 1 : 0;
    EXPECT_EQ(layer.workload.op == OpKind::kDepthwise, layer.name.starts_with("dw"));
    EXPECT_EQ(layer.workload.op == OpKind::kDense, layer.name.starts_with("fc"));
  }
  EXPECT_EQ(dense, 3);
  EXPECT_EQ(depthwise, 19);
}

}  // namespace
}  // namespace kiln
