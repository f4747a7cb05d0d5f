return Hull.Shim.ShimMain.Run(args);
