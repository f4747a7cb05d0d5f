return Hull.Agent.Guest.AgentProgram.Run(args);
