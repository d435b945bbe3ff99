"""What supervised fine-tuning and GRPO of a multimodal model share: runs, estimates, gates, cards, exports."""
