"""From labelled videos and simulated scenes to the rows that TRL's trainers take: prompts, pictures, truths."""
