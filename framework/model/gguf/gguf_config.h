// The configuration of a model, from the keys of its GGUF file.
#pragma once

#include <dbsa/sdk/result.h>

#include "model/config/model_config.h"
#include "model/gguf/architecture.h"
#include "model/gguf/gguf_file.h"

namespace dbsa::gguf {

// The architecture that the file names. Fails with kConfig for one that is not computed.
Result<const Architecture*> read_architecture(const GgufFile& file);

// For a file of that architecture. A key of the architecture that is neither used nor known to
// leave the logits unchanged is a fault, as for config.json. Fails with kConfig for the faults: all
// of them, one a line, each "file: key, byte: what".
Result<ModelConfig> read_gguf_config(const GgufParts& parts, const Architecture& architecture);

// Zeros where the keys are faulty.
TensorLayout read_tensor_layout(const GgufFile& file, const Architecture& architecture);

}  // namespace dbsa::gguf
