"""Which numbers of the tools that we read belong to which family: data, as the tools themselves name their suites and metrics.

Looked up in lm-eval 0.4.13, Inspect evals 0.26.0 (as the package runs them, `inspect_evals/…`), garak 0.17.1 and promptfoo 0.121.20. Left out on purpose:

- suites whose name does not say what was measured: `xstest` of Inspect evals asks safe prompts or unsafe ones, as an option says, that of promptfoo both;
- detectors whose find is nothing bad: `goodside.ThreatenJSON` passes where the model did *not* answer in JSON;
- numbers that are no share, or better neither high nor low (`pct_stereotype` of crows_pairs is best at a half);
- tasks below a group: whoever asks for MMLU means `mmlu`, not each of its 57 subjects;
- assertions that a promptfoo configuration names itself, and all suites of plain metrics and scored samples: what these are about knows their author, and a
  policy says it.

An entry is never taken back or moved: policies rest on it. Adding one asks more of releases whose evaluations have the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sluice.api.families import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Numbers of a tool that belong to a family."""

    family: Family
    harness: str
    suite: str
    """As the harness names it; `dan.*` is every suite of that module, `*` any suite."""
    metric: str
    """As docs/evaluations.md spells it; `metric/PIILeak/*` is all that begins so, `*` any metric."""
    by: str = ""
    """The numbers of each value of this field, and not that of all cases; empty for that of all cases."""
    lower_is_better: bool = False


def _of(family: Family, harness: str, metric: str, suites: str, *, lower_is_better: bool = False) -> Iterator[Member]:
    for suite in suites.split():
        yield Member(family=family, harness=harness, suite=suite, metric=metric, lower_is_better=lower_is_better)


def _probes(family: Family, suites: str) -> Iterator[Member]:
    """Probes of garak: whatever a detector looks for, `passed` is the share of answers in which it was not found."""
    return _of(family, "garak", "*", suites)


def _attacks(family: Family, *plugins: str) -> Iterator[Member]:
    """Plugins of a promptfoo red team, plain and by each strategy; graders give 1 where the model held."""
    for plugin in plugins:
        for metric in (f"metric/{plugin}", f"metric/{plugin}/*"):
            yield Member(family=family, harness="promptfoo", suite="*", metric=metric)


_LM_EVAL, _INSPECT = "lm-eval", "inspect"
_MGSM = " ".join(f"mgsm_direct_{language}" for language in ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"))
_GLOBAL_MMLU = " ".join(f"global_mmlu_{language}" for language in ("ar", "bn", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "pt", "sw", "yo", "zh"))
_ROBUST = "score_prompt_robustness_agieval score_prompt_robustness_math score_prompt_robustness_mmlu_pro"

TABLE: Final[tuple[Member, ...]] = (
    *_of(Family.QUALITY, _LM_EVAL, "acc", "boolq commonsense_qa mmlu winogrande"),
    *_of(Family.QUALITY, _LM_EVAL, "acc_norm", "arc_challenge arc_easy hellaswag openbookqa piqa"),
    *_of(Family.QUALITY, _LM_EVAL, "exact_match", "gsm8k mmlu_pro triviaqa nq_open"),
    *_of(Family.QUALITY, _LM_EVAL, "f1", "coqa drop"),
    *_of(Family.QUALITY, _LM_EVAL, "prompt_level_strict_acc", "ifeval"),
    *_of(Family.QUALITY, _LM_EVAL, "pass@1", "humaneval"),
    *_of(Family.QUALITY, _LM_EVAL, "pass_at_1", "mbpp"),
    *_of(
        Family.QUALITY, _INSPECT, "choice",
        "inspect_evals/arc_challenge inspect_evals/arc_easy inspect_evals/gpqa_diamond inspect_evals/hellaswag inspect_evals/mmlu_0_shot "
        "inspect_evals/mmlu_5_shot inspect_evals/mmlu_pro",
    ),
    *_of(Family.QUALITY, _INSPECT, "match", "inspect_evals/gsm8k"),
    *_of(Family.QUALITY, _INSPECT, "verify", "inspect_evals/humaneval"),
    *_of(Family.UNSAFE_REFUSAL, _INSPECT, "llm_judge_scorer", "inspect_evals/sosbench", lower_is_better=True),
    *_probes(
        Family.UNSAFE_REFUSAL,
        "atkgen.* av_spam_scanning.* continuation.* lmrc.Bullying lmrc.Deadnaming lmrc.Profanity lmrc.QuackMedicine lmrc.SexualContent lmrc.Sexualisation "
        "lmrc.SlurUsage malwaregen.* realtoxicityprompts.*",
    ),
    *_attacks(Family.UNSAFE_REFUSAL, "Aegis", "BeaverTails", "DoNotAnswer", "Harmbench", "ToxicChat", "UnsafeBench"),
    *_of(Family.JAILBREAK_RESISTANCE, _INSPECT, "strong_reject_scorer/refusal", "inspect_evals/strong_reject"),
    *_probes(
        Family.JAILBREAK_RESISTANCE,
        "adaptive_attacks.* audio.* badchars.* dan.* doctor.* dra.* fitd.* goat.* grandma.* phrasing.* sata.* smuggling.* suffix.* tap.* visual_jailbreak.*",
    ),
    *_attacks(Family.JAILBREAK_RESISTANCE, "Pliny"),
    *_of(Family.INJECTION_RESISTANCE, _INSPECT, "injection_task_scorer/security", "inspect_evals/agentdojo", lower_is_better=True),
    *_of(Family.INJECTION_RESISTANCE, _INSPECT, "model_graded_qa", "inspect_evals/cyse2_prompt_injection", lower_is_better=True),
    *_of(Family.INJECTION_RESISTANCE, _INSPECT, "ipi_scorer/irr_score", "inspect_evals/ipi_coding_agent"),
    *_of(
        Family.INJECTION_RESISTANCE, _INSPECT, "agent_threat_bench_scorer/security",
        "inspect_evals/agent_threat_bench_autonomy_hijack inspect_evals/agent_threat_bench_memory_poison",
    ),
    *_probes(
        Family.INJECTION_RESISTANCE, "encoding.* exploitation.* goodside.Tag latentinjection.* promptinject.* web_injection.MarkdownXSS web_injection.TaskXSS"
    ),
    *_attacks(Family.INJECTION_RESISTANCE, "CyberSecEval", "ShellInjection", "SqlInjection"),
    *_of(Family.TOOL_SELECTION, _INSPECT, "bfcl_scorer", "inspect_evals/bfcl"),
    *_of(Family.TOOL_SAFETY, _INSPECT, "combined_scorer/score", "inspect_evals/agentharm", lower_is_better=True),
    *_probes(Family.TOOL_SAFETY, "agent_breaker.*"),
    *_attacks(Family.TOOL_SAFETY, "ExcessiveAgency", "RbacEnforcement", "DebugAccess", "ToolDiscovery"),
    *_of(Family.CONFIDENTIALITY, _INSPECT, "agent_threat_bench_scorer/security", "inspect_evals/agent_threat_bench_data_exfil"),
    *_probes(
        Family.CONFIDENTIALITY,
        "apikey.* divergence.Repeat divergence.RepeatExtended leakreplay.* propile.* sysprompt_extraction.* web_injection.ColabAIDataLeakage "
        "web_injection.MarkdownImageExfil web_injection.MarkdownURIImageExfilExtended web_injection.MarkdownURINonImageExfilExtended "
        "web_injection.PlaygroundMarkdownExfil web_injection.StringAssemblyDataExfil",
    ),
    *_attacks(Family.CONFIDENTIALITY, "CrossSessionLeak", "PIILeak", "PromptExtraction"),
    *_of(Family.FACTUALITY, _LM_EVAL, "acc", "truthfulqa_mc1 truthfulqa_mc2"),
    *_of(Family.FACTUALITY, _INSPECT, "choice", "inspect_evals/truthfulqa"),
    *_probes(Family.FACTUALITY, "goodside.WhoIsRiley misleading.* packagehallucination.* snowball.*"),
    *_attacks(Family.FACTUALITY, "Hallucination", "Overreliance", "UnverifiableClaims"),
    *_of(Family.STRUCTURED_OUTPUT, _LM_EVAL, "schema_compliance", "jsonschema_bench_easy jsonschema_bench_medium jsonschema_bench_hard"),
    *_of(Family.PROMPT_STABILITY, _LM_EVAL, "consistency_rate", _ROBUST),
    *_of(Family.PROMPT_STABILITY, _LM_EVAL, "options_consistency_rate", "score_option_order_robustness_agieval score_option_order_robustness_mmlu_pro"),
    *_probes(Family.INPUT_ROBUSTNESS, "divergence.RepeatedToken glitch.* goodside.Davidjl"),
    *_of(Family.LANGUAGES, _LM_EVAL, "acc", f"belebele mmmlu pawsx xcopa xwinograd {_GLOBAL_MMLU}"),
    *_of(Family.LANGUAGES, _LM_EVAL, "exact_match", _MGSM),
    *_of(Family.LANGUAGES, _INSPECT, "match", "inspect_evals/mgsm"),
    *_of(Family.FAIRNESS, _LM_EVAL, "acc", "bbq winogender_all"),
    *_of(Family.FAIRNESS, _INSPECT, "choice", "inspect_evals/bbq"),
)  # fmt: skip
