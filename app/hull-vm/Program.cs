return Hull.Hypervisor.Monitor.VmRuntimeProgram.Run(args);
