#pragma once

#include "base/status.h"
#include "models/model.h"

namespace kiln {

// The convolutions and the classifier of Inception V1 (GoogLeNet, 224x224) and V3 (299x299, without
// the auxiliary head), with the layer names of TF-slim.
StatusOr<Network> InceptionV1();
StatusOr<Network> InceptionV3();

}  // namespace kiln
